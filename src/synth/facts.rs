//! What a row says besides its pictures: invented names and numbers, real districts.
//!
//! Mobile and voter-ID numbers are made by bijections of the slot, so two rows share one only where it is planted. They
//! are of a valid form and belong to nobody on purpose; never dial them.

use super::plan::Pattern;
use super::rng::{Rng, Use};
use super::row::Row;
use super::story::Story;
use crate::dump::RowFacts;

/// Districts of Madhya Pradesh with their divisions.
const DISTRICTS: [(&str, &str); 50] = [
    ("Ujjain", "Ujjain"),
    ("Gwalior", "Gwalior"),
    ("Indore", "Indore"),
    ("Bhopal", "Bhopal"),
    ("Jabalpur", "Jabalpur"),
    ("Rewa", "Rewa"),
    ("Dewas", "Ujjain"),
    ("Shivpuri", "Gwalior"),
    ("Dhar", "Indore"),
    ("Vidisha", "Bhopal"),
    ("Katni", "Jabalpur"),
    ("Satna", "Rewa"),
    ("Ratlam", "Ujjain"),
    ("Guna", "Gwalior"),
    ("Khargone", "Indore"),
    ("Sehore", "Bhopal"),
    ("Mandla", "Jabalpur"),
    ("Sidhi", "Rewa"),
    ("Mandsaur", "Ujjain"),
    ("Datia", "Gwalior"),
    ("Khandwa", "Indore"),
    ("Raisen", "Bhopal"),
    ("Seoni", "Jabalpur"),
    ("Singrauli", "Rewa"),
    ("Neemuch", "Ujjain"),
    ("Ashoknagar", "Gwalior"),
    ("Barwani", "Indore"),
    ("Rajgarh", "Bhopal"),
    ("Balaghat", "Jabalpur"),
    ("Mauganj", "Rewa"),
    ("Shajapur", "Ujjain"),
    ("Morena", "Gwalior"),
    ("Jhabua", "Indore"),
    ("Betul", "Bhopal"),
    ("Chhindwara", "Jabalpur"),
    ("Maihar", "Rewa"),
    ("Agar Malwa", "Ujjain"),
    ("Bhind", "Gwalior"),
    ("Alirajpur", "Indore"),
    ("Harda", "Bhopal"),
    ("Dindori", "Jabalpur"),
    ("Shahdol", "Rewa"),
    ("Sheopur", "Gwalior"),
    ("Burhanpur", "Indore"),
    ("Narmadapuram", "Bhopal"),
    ("Narsinghpur", "Jabalpur"),
    ("Umaria", "Rewa"),
    ("Anuppur", "Rewa"),
    ("Pandhurna", "Jabalpur"),
    ("Sagar", "Bhopal"),
];

const GIVEN: [&str; 32] = [
    "Asha", "Ravi", "Meena", "Dinesh", "Kavita", "Mohan", "Sunita", "Arjun", "Rekha", "Vijay", "Pooja", "Naresh",
    "Lata", "Suresh", "Geeta", "Manoj", "Anita", "Rajesh", "Usha", "Kamal", "Shanti", "Deepak", "Nirmala", "Ashok",
    "Savita", "Ramesh", "Mamta", "Prakash", "Seema", "Gopal", "Durga", "Hari",
];
const FAMILY: [&str; 24] = [
    "Verma", "Tomar", "Solanki", "Yadav", "Rathore", "Patidar", "Malviya", "Chouhan", "Bairagi", "Kushwah", "Sisodia",
    "Dangi", "Patel", "Sharma", "Lodhi", "Meena", "Thakur", "Jatav", "Sahu", "Gurjar", "Mishra", "Rawat", "Pandey",
    "Khan",
];

/// The name of district `k`.
pub fn district(k: u32) -> &'static str {
    DISTRICTS[k as usize % DISTRICTS.len()].0
}

/// The id of worker `k`.
pub fn worker_id(k: u32) -> String {
    format!("W-{:06}", 100_000 + k)
}

/// The booth of worker `k` in district `d`: booths carry their district's number.
pub fn booth(d: u32, k: u32) -> String {
    format!("{:02}-{:04}", d + 1, k + 1)
}

/// What row `k` of the story says.
pub fn of(story: &Story, seed: u64, k: usize) -> RowFacts {
    let row = &story.rows[k];
    let mut facts = plain(story, seed, row);
    let earlier = row.of.map(|of| plain(story, seed, &story.rows[of]));
    let mut rng = Rng::new(seed, Use::Facts, (1 << 40) | u64::from(row.slot));
    match (row.pattern, earlier) {
        (Pattern::InnocentRetry, Some(earlier)) => {
            (facts.mobile, facts.epic, facts.member_name) = (earlier.mobile, earlier.epic, earlier.member_name);
        }
        (Pattern::MobileReused, Some(earlier)) => facts.mobile = earlier.mobile,
        (Pattern::EpicReused, Some(earlier)) => facts.epic = earlier.epic,
        (Pattern::IdRepeated, Some(earlier)) => facts.submission_id = earlier.submission_id,
        (Pattern::MobileMalformed, _) => {
            facts.mobile =
                Some(["1234567890", "98765", "00000000000", "not known", "5551234567"][rng.below(5)].to_owned());
        }
        (Pattern::EpicMalformed, _) => {
            facts.epic = Some(["AB123", "1234567XYZ", "ABCD123456", "XYZ12345678", "-"][rng.below(5)].to_owned());
        }
        (Pattern::ConsentMissing, _) => facts.consent = if rng.chance(0.5) { Some(false) } else { None },
        (Pattern::BoothOutside, _) => {
            let own = story.workers[row.worker as usize].district;
            let other = story.workers.iter().position(|w| w.district != own).unwrap_or(0);
            facts.booth_id = Some(booth(story.workers[other].district, other as u32));
        }
        (Pattern::WorkerIdMissing, _) => facts.worker_id = None,
        _ => {}
    }
    if let Some(made) = story.field.made.get(&row.slot) {
        facts.place = made.place;
        facts.device_id = Some(made.device_id.clone());
        facts.app_version = Some(made.app_version.to_owned());
        facts.uploaded_at = Some(row.at + made.delay);
        facts.network = Some(made.network.to_owned());
    }
    facts
}

fn plain(story: &Story, seed: u64, row: &Row) -> RowFacts {
    let mut rng = Rng::new(seed, Use::Facts, row.slot.into());
    let district = story.workers[row.worker as usize].district;
    let (name, division) = DISTRICTS[district as usize % DISTRICTS.len()];
    let slot = u64::from(row.slot);
    // An odd factor permutes 0..2^31, so 7000000000.. to 9147483647 hold every slot once.
    let mobile = 7_000_000_000 + (slot.wrapping_mul(2_654_435_761) & 0x7fff_ffff);
    // A factor prime to ten permutes 0..10^7; the letters count the ten millions.
    let (high, low) = (slot / 10_000_000, slot * 7_654_321 % 10_000_000);
    let letter = |k: u64| char::from(b'A' + (k % 26) as u8);
    RowFacts {
        submission_id: Some(format!("S{slot:08}")),
        worker_id: Some(worker_id(row.worker)),
        district: Some(name.to_owned()),
        captured_at: Some(row.at),
        division: Some(division.to_owned()),
        sector: Some(format!("Sector {}", 1 + row.worker % 4)),
        mandalam: Some(format!("Mandalam {}", 1 + row.worker % 9)),
        booth_id: Some(booth(district, row.worker)),
        mobile: Some(mobile.to_string()),
        epic: Some(format!("S{}{}{low:07}", letter(high / 26), letter(high))),
        member_name: Some(format!("{} {}", GIVEN[rng.below(GIVEN.len())], FAMILY[rng.below(FAMILY.len())])),
        consent: Some(true),
        ..RowFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn districts_are_all_different() {
        let names: std::collections::BTreeSet<_> = (0..50).map(district).collect();
        assert_eq!(names.len(), 50);
    }
}
