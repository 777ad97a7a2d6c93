//! Where and when workers enrol, with which phone: honest habits with heavy tails, and ways to enrol from home.
//!
//! Towns are real, and everything about them is drawn from mixtures with heavy tails, so that no limit fits by construction. An
//! honest worker may look like one at home: a camp has many members at one wall, a family one door, a village one phone, a
//! phone a wrong date, a market everybody at once, and without a network all is sent next morning.

use std::collections::HashMap;

use super::exif::Exif;
use super::plan::Plan;
use super::rng::{Rng, Use};
use super::row::{Row, Worker};
use crate::dump::Place;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
const MINUTE: i64 = 60 * SECOND;
/// Indian time is so far ahead of UTC.
const ZONE: i64 = 330 * MINUTE;
/// Fewest submissions of an account that enrols from home: of fewer nobody could tell.
const LEAST_HOME: usize = 12;

/// Towns of Madhya Pradesh, the seats of the districts in their order: degrees north and east.
const TOWNS: [[f64; 2]; 50] = [
    [23.18, 75.78],
    [26.22, 78.18],
    [22.72, 75.86],
    [23.26, 77.41],
    [23.18, 79.95],
    [24.53, 81.30],
    [22.97, 76.05],
    [25.42, 77.66],
    [22.60, 75.30],
    [23.53, 77.81],
    [23.83, 80.39],
    [24.58, 80.83],
    [23.33, 75.04],
    [24.65, 77.31],
    [21.82, 75.61],
    [23.20, 77.08],
    [22.60, 80.37],
    [24.42, 81.88],
    [24.07, 75.07],
    [25.67, 78.46],
    [21.83, 76.35],
    [23.33, 77.78],
    [22.09, 79.54],
    [24.20, 82.67],
    [24.47, 74.87],
    [24.58, 77.73],
    [22.03, 74.90],
    [24.01, 76.73],
    [21.81, 80.19],
    [24.66, 81.87],
    [23.43, 76.27],
    [26.50, 78.00],
    [22.77, 74.59],
    [21.91, 77.90],
    [22.06, 78.94],
    [24.26, 80.76],
    [23.71, 76.02],
    [26.56, 78.79],
    [22.31, 74.36],
    [22.34, 77.09],
    [22.94, 81.08],
    [23.30, 81.36],
    [25.67, 76.70],
    [21.31, 76.23],
    [22.75, 77.73],
    [22.95, 79.19],
    [23.52, 80.84],
    [23.10, 81.69],
    [21.60, 78.53],
    [23.84, 78.74],
];

/// Phones as EXIF names them: maker, model, width and height of their pictures.
const PHONES: [(&str, &str, [u32; 2]); 8] = [
    ("Xiaomi", "Redmi 9A", [4160, 3120]),
    ("samsung", "SM-M127G", [4000, 3000]),
    ("realme", "RMX3201", [4608, 3456]),
    ("vivo", "V2111", [4128, 3096]),
    ("OPPO", "CPH2239", [4160, 3120]),
    ("motorola", "moto g31", [4080, 3072]),
    ("Nokia", "Nokia C21", [3264, 2448]),
    ("Apple", "iPhone 8", [4032, 3024]),
];
const EDITORS: [&str; 5] = ["Adobe Photoshop Express", "PicsArt", "Snapseed 2.0", "GIMP 2.10.34", "Pixlr"];

macro_rules! codes {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant),+
        }

        impl $name {
            /// All, in table order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The code in the truth table.
            pub fn code(self) -> &'static str {
                match self { $($name::$variant => $code),+ }
            }
        }
    };
}

codes! {
    /// How an account enrols from home. All members are real people, who stand before the worker.
    HomeWay {
        /// All in one room, at one point.
        Room = "room",
        /// A list, after midnight.
        Midnight = "midnight",
        /// Several accounts on one phone, in turns.
        SharedDevice = "shared_device",
        /// One account on several phones at several places, within minutes.
        ManyDevices = "many_devices",
        /// Two towns, minutes apart.
        Travel = "travel",
        /// At one point, one every few minutes to the second.
        Regular = "regular",
        /// Old pictures, sent days later.
        Late = "late",
        /// Screenshots, and pictures out of editors.
        Edited = "edited",
    }
}

codes! {
    /// How an honest account works.
    Habit {
        /// From door to door, some doors with several members.
        Doors = "doors",
        /// A camp: everybody at one place, before one wall, within hours.
        Camp = "camp",
        /// Large families, each at one door.
        Families = "families",
        /// A phone that several workers of a village have in turns.
        VillagePhone = "village_phone",
        /// A phone whose date is wrong.
        WrongClock = "wrong_clock",
        /// A village without a network: all is sent next morning.
        Offline = "offline",
        /// Market day: crowds, then nobody.
        Market = "market",
    }
}

/// What an account is like in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// It enrols from home.
    Home(HomeWay),
    /// It works where it should.
    Honest(Habit),
}

/// What one submission says of its making.
#[derive(Debug, Clone)]
pub struct Made {
    /// Microseconds from the picture to its arrival.
    pub delay: i64,
    /// Microseconds by which EXIF's time is before the row's.
    pub taken_before: i64,
    /// Where the phone believed to be.
    pub place: Option<Place>,
    /// The phone.
    pub device_id: String,
    /// Version of the app.
    pub app_version: &'static str,
    /// The network.
    pub network: &'static str,
    /// Names the wall behind the people, where many pictures share one.
    pub room: Option<u64>,
    /// The picture's EXIF but for orientation, time, thumbnail and a size that is the file's own, where the phone keeps it.
    pub exif: Option<Exif>,
    /// Whether the thumbnail is another picture's.
    pub foreign_thumbnail: bool,
    /// Whether the picture has the shape of a screen.
    pub is_screenshot: bool,
}

/// What is known of the drive's accounts and submissions; empty without evidence.
#[derive(Debug, Default)]
pub struct Field {
    /// By account.
    pub ways: Vec<Ways>,
    /// By slot.
    pub made: HashMap<u32, Made>,
}

impl Field {
    /// Sends the accounts out: sets the time of every row, and tells what it says of its making. `midnight` is the first of
    /// the drive, UTC.
    pub fn write(plan: &Plan, midnight: i64, workers: &[Worker], rows: &mut [Row]) -> Field {
        if !plan.field.evidence {
            return Field::default();
        }
        let mut field = Field { ways: ways(plan, workers), made: HashMap::new() };
        let mut of_worker: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
        for (k, row) in rows.iter().enumerate() {
            of_worker.entry((row.worker, row.night)).or_default().push(k);
        }
        for ((worker, night), mut mine) in of_worker {
            mine.sort_by_key(|&k| (rows[k].at, rows[k].slot));
            let slots: Vec<u32> = mine.iter().map(|&k| rows[k].slot).collect();
            let account = Account { plan, workers, ways: &field.ways, worker };
            let day = midnight + i64::from(night) * 1440 * MINUTE;
            for (k, (at, made)) in mine.into_iter().zip(account.night(day, night, &slots)) {
                rows[k].at = at;
                field.made.insert(rows[k].slot, made);
            }
        }
        field
    }

    /// What the truth says of an account: the way of one that enrols from home, and the habit of an honest one.
    pub fn told(&self, worker: u32) -> [Option<&'static str>; 2] {
        match self.ways.get(worker as usize) {
            Some(Ways::Home(way)) => [Some(way.code()), None],
            Some(Ways::Honest(habit)) => [None, Some(habit.code())],
            None => [None, None],
        }
    }
}

/// Who does what. Those at home are the ones with the smallest numbers among accounts with enough submissions; the ways go
/// round from a start that the seed says, so that a few accounts over several seeds have them all.
fn ways(plan: &Plan, workers: &[Worker]) -> Vec<Ways> {
    let rng = |worker: usize, what: u64| Rng::new(plan.seed, Use::Field, (what << 40) | worker as u64);
    let honest = |worker: usize| {
        let mut left = rng(worker, 1).unit();
        let shares = [0.46, 0.12, 0.12, 0.08, 0.06, 0.08, 0.08];
        let found = Habit::ALL.iter().zip(shares).find(|(_, share)| {
            left -= share;
            left < 0.0
        });
        Ways::Honest(found.map_or(Habit::Doors, |(habit, _)| *habit))
    };
    let mut all: Vec<Ways> = (0..workers.len()).map(honest).collect();
    let mut able: Vec<usize> = (0..workers.len()).filter(|&k| workers[k].slots.len() >= LEAST_HOME).collect();
    able.sort_by_key(|&k| rng(k, 2).bits());
    let count = (plan.field.home * workers.len() as f64).round() as usize;
    let start = rng(0, 3).below(HomeWay::ALL.len());
    let at_home: Vec<usize> = able.into_iter().take(count).collect();
    for (k, &worker) in at_home.iter().enumerate() {
        all[worker] = Ways::Home(HomeWay::ALL[(start + k) % HomeWay::ALL.len()]);
    }
    // One phone needs two accounts: a lone one takes another account along, which is then at it as well.
    let shared: Vec<usize> = at_home.iter().copied().filter(|&k| all[k] == Ways::Home(HomeWay::SharedDevice)).collect();
    let is_other = |k: &&usize| all[**k] != Ways::Home(HomeWay::SharedDevice);
    let is_double = |k: &&usize| is_other(k) && at_home.iter().filter(|&&other| all[other] == all[**k]).count() > 1;
    let taken_along = at_home.iter().find(is_double).or_else(|| at_home.iter().find(is_other)).copied();
    if let (1, Some(other)) = (shared.len(), taken_along) {
        all[other] = Ways::Home(HomeWay::SharedDevice);
    }
    all
}

/// One account on its rounds.
struct Account<'a> {
    plan: &'a Plan,
    workers: &'a [Worker],
    ways: &'a [Ways],
    worker: u32,
}

/// Where and when one member stands before the worker.
#[derive(Debug, Clone, Copy)]
struct Stop {
    at: i64,
    /// Degrees north and east.
    point: [f64; 2],
    room: Option<u64>,
    device: u64,
}

/// e to a normal deviate: heavy to the right.
fn lognormal(rng: &mut Rng, median: f64, spread: f64) -> f64 {
    median * (spread * f64::from(rng.normal())).exp()
}

/// A point so many metres from another one, in any direction.
fn beside(rng: &mut Rng, [north, east]: [f64; 2], metres: f64) -> [f64; 2] {
    let turn = rng.unit() * std::f64::consts::TAU;
    let degrees = metres / 111_195.0;
    [north + degrees * turn.sin(), east + degrees * turn.cos() / north.to_radians().cos()]
}

impl Account<'_> {
    fn rng(&self, what: u64, item: u64) -> Rng {
        Rng::new(self.plan.seed, Use::Field, (1 << 63) | (what << 56) | (u64::from(self.worker) << 28) | item)
    }

    fn way(&self) -> Ways {
        self.ways[self.worker as usize]
    }

    /// Where the account's people live: a village or a quarter about the district's town.
    fn beat(&self) -> [f64; 2] {
        let mut rng = self.rng(1, 0);
        let town = TOWNS[self.workers[self.worker as usize].district as usize % TOWNS.len()];
        let far = lognormal(&mut rng, 7_000.0, 0.9).min(60_000.0);
        beside(&mut rng, town, far)
    }

    /// The worker's home.
    fn home(&self) -> [f64; 2] {
        let mut rng = self.rng(2, 0);
        let far = lognormal(&mut rng, 900.0, 0.8);
        beside(&mut rng, self.beat(), far)
    }

    /// When, where and before which wall, in order of time.
    fn night(&self, day: i64, night: u32, slots: &[u32]) -> Vec<(i64, Made)> {
        let mut rng = self.rng(3, u64::from(night));
        let stops = self.stops(day, night, slots.len(), &mut rng);
        stops.into_iter().zip(slots).map(|(stop, &slot)| (stop.at, self.made(stop, day, slot))).collect()
    }

    fn stops(&self, day: i64, night: u32, count: usize, rng: &mut Rng) -> Vec<Stop> {
        let own = self.device();
        let village = self.beat();
        let stop = |at: i64, point: [f64; 2]| Stop { at, point, room: None, device: own };
        // Between 09:00 and 12:00 Indian time.
        let morning = day + 9 * 60 * MINUTE - ZONE + (rng.unit() * 180.0) as i64 * MINUTE;
        let home_wall = Some((1 << 32) | u64::from(self.worker));
        match self.way() {
            Ways::Home(HomeWay::Room) => {
                let doors = self.doors(morning, village, count, [1.0, 0.35], rng);
                doors.into_iter().map(|door| Stop { point: self.home(), room: home_wall, ..door }).collect()
            }
            Ways::Home(HomeWay::Midnight) => {
                // From a quarter past midnight on: the calendar's day is the one that begins then.
                let mut at = day + 15 * MINUTE - ZONE + (rng.unit() * 60.0) as i64 * MINUTE;
                let mut list = Vec::with_capacity(count);
                for _ in 0..count {
                    at += (lognormal(rng, 100.0, 0.5) * SECOND as f64) as i64;
                    let near = lognormal(rng, 60.0, 0.8);
                    list.push(stop(at, beside(rng, self.home(), near)));
                }
                list
            }
            Ways::Home(HomeWay::Regular) => {
                let mut at = morning;
                let every = (150 + rng.below(240)) as i64 * SECOND;
                let mut list = Vec::with_capacity(count);
                for _ in 0..count {
                    at += every + (rng.normal() * 1.5) as i64 * SECOND;
                    list.push(stop(at, self.home()));
                }
                list
            }
            Ways::Home(HomeWay::Travel) => {
                let doors = self.doors(morning, village, count, [1.0, 0.35], rng);
                let here = TOWNS[self.workers[self.worker as usize].district as usize % TOWNS.len()];
                let there = (0..200)
                    .map(|_| TOWNS[rng.below(TOWNS.len())])
                    .find(|there| (there[0] - here[0]).hypot(there[1] - here[1]) > 1.5)
                    .unwrap_or([28.61, 77.21]);
                let flip = |(k, door): (usize, Stop)| match k % 3 {
                    1 => Stop { point: beside(rng, there, 800.0), ..door },
                    _ => door,
                };
                doors.into_iter().enumerate().map(flip).collect()
            }
            Ways::Home(HomeWay::ManyDevices) => {
                let doors = self.doors(morning, village, count, [0.5, 0.2], rng);
                let hand = |door: Stop| {
                    let phone = rng.below(5) as u64;
                    let place = beside(&mut self.rng(4, phone), village, 3_000.0);
                    let device = if phone == 0 { own } else { own ^ (phone << 40) };
                    Stop { device, point: beside(rng, place, 40.0), ..door }
                };
                doors.into_iter().map(hand).collect()
            }
            Ways::Home(HomeWay::SharedDevice) => self.doors(morning, self.partner_home(), count, [1.0, 0.35], rng),
            Ways::Honest(Habit::Camp) => {
                let tent = beside(rng, village, 500.0);
                let wall = Some((2 << 32) | (u64::from(self.worker) << 8) | u64::from(night));
                let mut at = morning;
                let mut list = Vec::with_capacity(count);
                for _ in 0..count {
                    at += (lognormal(rng, 130.0, 0.9) * SECOND as f64) as i64;
                    list.push(Stop { room: wall, ..stop(at, beside(rng, tent, 6.0)) });
                }
                list
            }
            Ways::Honest(Habit::Families) => self.doors(morning, village, count, [1.0, 0.82], rng),
            Ways::Honest(Habit::Market) => {
                let square = beside(rng, village, 700.0);
                let mut at = morning;
                let mut list = Vec::with_capacity(count);
                for _ in 0..count {
                    at += match rng.chance(0.07) {
                        true => (lognormal(rng, 3_000.0, 0.5) * SECOND as f64) as i64,
                        false => (lognormal(rng, 75.0, 0.8) * SECOND as f64) as i64,
                    };
                    let near = lognormal(rng, 40.0, 0.8);
                    list.push(stop(at, beside(rng, square, near)));
                }
                list
            }
            Ways::Honest(Habit::VillagePhone) => {
                // Turns of about two hours: the phone changes hands, and never within minutes.
                let sharers = self.village_sharers();
                let turn = sharers.iter().position(|&k| k == self.worker as usize).unwrap_or(0) as i64 % 3;
                let begun = day + (8 * 60 + 210 * turn) * MINUTE - ZONE;
                let mut stops = self.doors(begun, village, count, [0.6, 0.4], rng);
                squeeze(&mut stops, begun, begun + 190 * MINUTE);
                stops
            }
            Ways::Home(_) | Ways::Honest(_) => self.doors(morning, village, count, [1.0, 0.35], rng),
        }
    }

    /// From door to door: `pace` scales the time between doors, and at a door stays, with probability `more`, one member after
    /// another. Ends by 21:30 Indian time.
    fn doors(&self, begun: i64, village: [f64; 2], count: usize, [pace, more]: [f64; 2], rng: &mut Rng) -> Vec<Stop> {
        let mut at = begun;
        let mut stops = Vec::with_capacity(count);
        let (mut door, mut number) = (village, 0u64);
        while stops.len() < count {
            let stays = !stops.is_empty() && rng.chance(more);
            let seconds = match rng.unit() {
                _ if stays => lognormal(rng, 80.0, 0.6),
                u if u < 0.62 => pace * lognormal(rng, 330.0, 0.7),
                u if u < 0.92 => pace * lognormal(rng, 900.0, 0.9),
                // Pareto's tail: a meal, a meeting, a bus that does not come.
                _ => pace * 900.0 * (1.0 - rng.unit()).max(1e-4).powf(-1.0 / 1.3),
            };
            at += (seconds.min(4.0 * 3600.0) * SECOND as f64) as i64;
            if !stays {
                let far = lognormal(rng, 280.0, 0.9);
                (door, number) = (beside(rng, village, far), number + 1);
            }
            let wall = (3 << 60) | (u64::from(self.worker) << 32) | ((begun / MINUTE) as u64 & 0xffff) << 12 | number;
            let room = rng.chance(0.5).then_some(wall);
            stops.push(Stop { at, point: door, room, device: self.device() });
        }
        let day = (begun + ZONE).div_euclid(1440 * MINUTE) * 1440 * MINUTE - ZONE;
        squeeze(&mut stops, begun, day + 1290 * MINUTE);
        stops
    }

    /// The account's phone: that of others too, where it is shared.
    fn device(&self) -> u64 {
        let holder = match self.way() {
            Ways::Home(HomeWay::SharedDevice) => self.ways.iter().position(|way| *way == self.way()),
            Ways::Honest(Habit::VillagePhone) => {
                let sharers = self.village_sharers();
                let rank = sharers.iter().position(|&k| k == self.worker as usize).unwrap_or(0);
                sharers.get(rank - rank % 3).copied()
            }
            _ => None,
        };
        let holder = holder.unwrap_or(self.worker as usize) as u64;
        Rng::new(self.plan.seed, Use::Field, (1 << 62) | holder).bits() >> 8
    }

    /// The district's accounts without phones of their own: three and three have one.
    fn village_sharers(&self) -> Vec<usize> {
        let district = self.workers[self.worker as usize].district;
        let shares =
            |k: &usize| self.ways[*k] == Ways::Honest(Habit::VillagePhone) && self.workers[*k].district == district;
        (0..self.ways.len()).filter(shares).collect()
    }

    /// The home of the first account on the shared phone.
    fn partner_home(&self) -> [f64; 2] {
        let first = self.ways.iter().position(|way| *way == self.way()).unwrap_or(self.worker as usize);
        Account { worker: first as u32, ..*self }.home()
    }

    fn made(&self, stop: Stop, day: i64, slot: u32) -> Made {
        let mut rng = self.rng(5, slot.into());
        let way = self.way();
        let accuracy = lognormal(&mut rng, 11.0, 0.7).clamp(3.0, 3_000.0);
        // Rayleigh's distribution, and a share of fixes that the phone is wrong about.
        let tail = if rng.chance(0.04) { 6.0 } else { 1.0 };
        let off = 0.6 * tail * accuracy * (-2.0 * (1.0 - rng.unit()).max(1e-9).ln()).sqrt();
        let [north, east] = beside(&mut rng, stop.point, off);
        let place = Place::new(north, east).map(|place| Place { accuracy_m: Some(accuracy as f32), ..place });
        let place = place.filter(|_| !rng.chance(self.plan.field.placeless));
        let at_once = stop.at + (lognormal(&mut rng, 25.0, 1.4) * SECOND as f64) as i64;
        let next_morning =
            day + (1440 + 360) * MINUTE - ZONE + (lognormal(&mut rng, 2_400.0, 0.7) * SECOND as f64) as i64;
        let days_late = stop.at + ((5.0 + 14.0 * rng.unit()) * 1440.0) as i64 * MINUTE;
        let uploaded_at = match way {
            Ways::Home(HomeWay::Late) => days_late,
            Ways::Honest(Habit::Offline) => next_morning.max(at_once),
            _ if rng.chance(0.05) => at_once + (lognormal(&mut rng, 4_000.0, 1.2) * SECOND as f64) as i64,
            _ => at_once,
        };
        let mut phone = Rng::new(self.plan.seed, Use::Field, (1 << 61) | stop.device);
        let (make, model, size) = PHONES[phone.below(PHONES.len())];
        let app_version = ["3.1.0", "3.1.2", "3.2.0"][phone.below(3)];
        let keeps_exif = phone.chance(self.plan.field.exif_kept);
        let (has_zone, has_gps) = (phone.chance(0.5), phone.chance(0.4));
        let build = format!("{}-{}", model.replace(' ', ""), 1 + phone.below(40));
        // Days by which a phone's calendar is wrong, which nobody has noticed.
        let wrong_days = 30 + phone.below(900) as i64;
        let edits = way == Ways::Home(HomeWay::Edited);
        let edited = edits && rng.chance(0.75) || !edits && rng.chance(0.004);
        let taken = match way {
            Ways::Honest(Habit::WrongClock) => stop.at - wrong_days * 1440 * MINUTE,
            Ways::Home(HomeWay::Late) => stop.at - ((3.0 + 40.0 * rng.unit()) * 1440.0) as i64 * MINUTE,
            _ => stop.at - (lognormal(&mut rng, 4.0, 0.8) * SECOND as f64) as i64,
        };
        let is_screenshot = edited && rng.chance(0.4);
        let software = if edited { EDITORS[rng.below(EDITORS.len())].to_owned() } else { build };
        let exif = (keeps_exif || edits).then(|| Exif {
            orientation: 1,
            camera: (!is_screenshot).then(|| (make.to_owned(), model.to_owned())),
            software: Some(software),
            taken: None,
            zone: has_zone.then(|| "+05:30".to_owned()),
            place: place.filter(|_| has_gps),
            size: (edited && !is_screenshot && rng.chance(0.5)).then_some(size),
            thumbnail: None,
        });
        Made {
            delay: uploaded_at - stop.at,
            taken_before: stop.at - taken,
            place,
            device_id: format!("{:014x}", stop.device & 0xff_ffff_ffff_ffff),
            app_version,
            network: ["4g", "4g", "4g", "wifi", "3g", "5g"][rng.below(6)],
            room: stop.room,
            exif,
            foreign_thumbnail: edited && !is_screenshot && rng.chance(0.6),
            is_screenshot,
        }
    }
}

/// Keeps the order and the first moment, and draws everything together to end in time.
fn squeeze(stops: &mut [Stop], begun: i64, end: i64) {
    let last = stops.last().map_or(begun, |stop| stop.at);
    if last > end {
        let share = (end - begun) as f64 / (last - begun).max(1) as f64;
        stops.iter_mut().for_each(|stop| stop.at = begun + ((stop.at - begun) as f64 * share) as i64);
    }
}

/// An instant by the clock on an Indian wall, as EXIF writes it.
pub fn clock_text(at: i64) -> Option<String> {
    let wall = jiff::Timestamp::from_microsecond(at + ZONE).ok()?;
    jiff::fmt::strtime::format("%Y:%m:%d %H:%M:%S", wall).ok()
}
