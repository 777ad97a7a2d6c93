//! What an expression may say, and what is said of a wrong one.

use super::*;

const COLUMNS: &[Column] = &[
    Column { name: "submission_id", kind: Kind::Text },
    Column { name: "worker_id", kind: Kind::Text },
    Column { name: "district", kind: Kind::Text },
    Column { name: "captured_at", kind: Kind::Moment },
    Column { name: "quality", kind: Kind::Number },
    Column { name: "consent", kind: Kind::Flag },
];

#[derive(Clone, Copy)]
struct Person(u32);

impl Facts for Person {
    fn cell(&self, column: &str) -> Cell<'_> {
        match column {
            "submission_id" => Cell::Made(format!("S-{}", self.0)),
            "worker_id" => Cell::Made((self.0 % 20).to_string()),
            "district" if self.0.is_multiple_of(7) => Cell::Null,
            "district" => Cell::Text(["Ujjain", "Gwalior", "Bhopal"][self.0 as usize % 3]),
            "captured_at" => Cell::Made(format!("2026-11-{:02}T10:00:00Z", self.0 % 30 + 1)),
            "quality" => Cell::Number(f64::from(self.0) / 10_000.0),
            _ => Cell::Flag(self.0.is_multiple_of(2)),
        }
    }
}

fn passing(text: &str) -> Result<Vec<u32>> {
    let predicate = Predicate::new(text, "this dump", COLUMNS)?;
    let passed = predicate.passing((0..9000).map(Person))?;
    assert_eq!(passed.len(), 9000);
    Ok((0..).zip(passed).filter_map(|(number, passes)| passes.then_some(number)).collect())
}

fn refused(text: &str) -> String {
    match passing(text) {
        Err(error @ Error::Usage { .. }) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn it_is_sql() {
    let of = |pass: fn(u32) -> bool| (0..9000).filter(|&n| pass(n)).collect::<Vec<u32>>();
    let known = |n: u32| !n.is_multiple_of(7);
    assert!(known(8));
    type Case = (&'static str, fn(u32) -> bool);
    let cases: &[Case] = &[
        ("district in ('Ujjain', 'Gwalior')", |n| n % 7 != 0 && n % 3 != 2),
        ("district is null or not consent", |n| n % 7 == 0 || n % 2 == 1),
        ("worker_id = 17", |n| n % 20 == 17),
        ("worker_id = '17' and quality > 0.5", |n| n % 20 == 17 && n > 5000),
        ("district like 'uj%' -- no case", |n| n % 7 != 0 && n % 3 == 0),
        ("lower(substr(district, 1, 2)) = 'gw'", |n| n % 7 != 0 && n % 3 == 1),
        ("case when consent then quality else 1 end < 0.01", |n| n < 100 && n % 2 == 0),
        ("submission_id = 'S-8999'", |n| n == 8999),
        ("consent = true and consent <> 0", |n| n % 2 == 0),
        ("coalesce(district, '') = ''", |n| n % 7 == 0),
        ("1 = 0", |_| false),
    ];
    for (text, pass) in cases {
        assert_eq!(passing(text).unwrap(), of(*pass), "{text}");
    }
}

#[test]
fn days_are_whole_days() {
    let count = |text: &str| passing(text).unwrap().len();
    assert_eq!(count("captured_at >= '2026-11-30'"), 300);
    assert_eq!(count("captured_at > '2026-11-29'"), 300);
    assert_eq!(count("captured_at <= '2026-11-01'"), 300);
    assert_eq!(count("captured_at = '2026-11-05'"), 300);
    assert_eq!(count("captured_at in ('2026-11-05', '2026-11-06')"), 600);
    assert_eq!(count("captured_at between '2026-11-05' and '2026-11-06'"), 600);
    assert_eq!(count("captured_at >= '2026-11'"), 9000);
    assert_eq!(count("captured_at < '2026-11-01T15:30:01+05:30'"), 300);
    assert_eq!(count("date(captured_at) = '2026-11-05'"), 300);
    assert_eq!(count("captured_at is not null"), 9000);
    for text in ["captured_at >= '01/11/2026'", "'yesterday' < captured_at", "captured_at = 20261101"] {
        let said = refused(text);
        assert!(said.contains("which is no time") && said.contains("2026-11-30"), "{said}");
    }
}

#[test]
fn an_error_points_at_the_word() {
    let said = refused("quality > 0 and distrikt in ('Ujjain')");
    assert!(said.contains("no such column: distrikt") && said.contains("did you mean district?"), "{said}");
    assert!(said.contains("\n    quality > 0 and distrikt in ('Ujjain')\n                    ^^^^^^^^\n"), "{said}");
    assert!(said.contains("Columns of this dump: submission_id, worker_id"), "{said}");
    let said = refused("district = Ujjain");
    assert!(said.contains("single quotes: 'Ujjain'") && said.contains("\n               ^^^^^^\n"), "{said}");
    let said = refused("district = \"Ujjain\"");
    assert!(said.contains("no such column: Ujjain") && said.contains("^^^^^^^^"), "{said}");
    let said = refused("district in ('Ujjain' and quality > 0");
    assert!(said.contains("incomplete input"), "{said}");
    let said = refused("quality >> and\n district = = 'x'");
    assert!(said.contains("near \"and\"") && said.contains("^^^"), "{said}");
    let said = refused("lowr(district) = 'x'");
    assert!(said.contains("no such function: lowr") && said.contains("did you mean lower?"), "{said}");
    assert!(refused("").contains("incomplete input"));
    assert!(refused("district = 'Ujjain").contains("unrecognized token"));
    assert!(refused("जिला = 'उज्जैन'").contains("no such column: जिला"));
}

#[test]
fn it_can_do_nothing_but_look_at_a_row() {
    for (text, word) in [
        ("1); DROP TABLE facts; --", ""),
        ("1; DELETE FROM facts", ""),
        ("1 UNION SELECT 1", ""),
        ("1) UNION SELECT rowid FROM facts WHERE (1", ""),
        ("1) OR (1", ""),
        ("1 LIMIT 1", ""),
        ("1 /*", ""),
        ("exists (SELECT 1 FROM sqlite_master)", "SELECT"),
        ("worker_id in (SELECT worker_id FROM facts)", "SELECT"),
        ("load_extension('x') = 1", ""),
        ("random() % 2 = 0", "the function random"),
        ("length(zeroblob(1000000000)) > 1", "the function zeroblob"),
        ("count(*) > 1", ""),
        ("worker_id = ?", "placeholder"),
        ("worker_id = :id", "placeholder"),
    ] {
        let said = refused(text);
        assert!(said.contains(word), "{text}: {said}");
    }
}
