//! Run folder and truth table -> [`Case`]s, row by row.
//!
//! Columns are found by name. A truth table needs `submission_id` and `reasons`; what else it may have is listed at
//! [`Truth`], and `chehra synth` writes all of it but the boxes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type};

use super::people::Link;
use super::{Account, Case, FaceGiven, Given, Known, Night, Told, Truth};
use crate::config::policy::VerdictPolicy;
use crate::dump::{TRUTH_FILE, open_parquet};
use crate::presence::Sign;
use crate::reason::{Reason, Verdict};
use crate::synth::Pattern;
use crate::{Error, Result};

/// The rows of one night, in the order of its dump, and what the truth knows.
///
/// # Errors
/// [`Error::Input`] when a table cannot be read or lacks a column, or when the two are not of one dump.
pub fn cases(night: &Night, number: usize) -> Result<(Vec<Case>, Known)> {
    let given = given(&night.run.join("verdicts.parquet"))?;
    let path = if night.truth.is_dir() { night.truth.join(TRUTH_FILE) } else { night.truth.clone() };
    let table = Table::read(&path)?;
    let (truth, ids, known) = truths(&table, &verdict_policy(&night.run)?)?;
    let fix = "give each --run the truth of its own dump, in the same order";
    let misfit = |item: String, expected: String, found: String| Err(Error::input(&path, item, expected, found, fix));
    if truth.len() != given.len() {
        let expected = format!("{}, as many as in {}", given.len(), night.run.display());
        return misfit("rows".into(), expected, truth.len().to_string());
    }
    for (row, (given, id)) in given.iter().zip(&ids).enumerate() {
        if given.submission_id != *id {
            let name = |id: &Option<String>| id.as_ref().map_or_else(|| "null".to_owned(), |id| format!("'{id}'"));
            let expected = format!("{}, as in {}", name(&given.submission_id), night.run.display());
            return misfit(format!("row {row}: submission_id"), expected, name(id));
        }
    }
    let case = |(given, truth)| Case { night: number, given, truth };
    Ok((given.into_iter().zip(truth).map(case).collect(), known))
}

/// The clusters that a run committed.
///
/// # Errors
/// [`Error::Input`] when `clusters.parquet` cannot be read.
pub fn links(run: &Path, number: usize) -> Result<Vec<Link>> {
    let table = Table::read(&run.join("clusters.parquet"))?;
    let ids = table.needed("cluster_id", table.texts("cluster_id")?)?;
    let submissions = table.needed("submissions", table.lists("submissions")?)?;
    let link = |(id, submissions): (Option<String>, _)| Some(Link { night: number, cluster_id: id?, submissions });
    Ok(ids.into_iter().zip(submissions).filter_map(link).collect())
}

/// How the accounts of one night's truth work, by their ids; none where the truth does not tell.
///
/// # Errors
/// [`Error::Input`] when the truth cannot be read.
pub fn accounts(night: &Night) -> Result<HashMap<String, Account>> {
    let path = if night.truth.is_dir() { night.truth.join(TRUTH_FILE) } else { night.truth.clone() };
    let table = Table::read(&path)?;
    let (Some(home), Some(ids)) = (table.texts("home")?, table.texts("worker_id")?) else { return Ok(HashMap::new()) };
    let habits = table.texts("habit")?.unwrap_or_else(|| vec![None; ids.len()]);
    let account = |((id, home), habit): ((Option<String>, Option<String>), Option<String>)| {
        let is_home = home.is_some();
        let name = home.or(habit).unwrap_or_else(|| "honest".to_owned());
        Some((id?, Account { is_home, name }))
    };
    Ok(ids.into_iter().zip(home).zip(habits).filter_map(account).collect())
}

/// What a run says of each account, by its id: its place in `call_first.parquet`, and the signs by which it stands out
/// in `workers_audit.parquet`.
///
/// # Errors
/// [`Error::Input`] when a table cannot be read or lacks a column.
pub fn told(night: &Night) -> Result<HashMap<String, Told>> {
    let mut told: HashMap<String, Told> = HashMap::new();
    let table = Table::read(&night.run.join("call_first.parquet"))?;
    let ids = table.needed("worker_id", table.texts("worker_id")?)?;
    let places = table.needed("place_in_list", table.column("place_in_list", &DataType::Int64)?)?;
    let places = places.as_primitive::<Int64Type>();
    for (at, id) in ids.into_iter().enumerate() {
        told.entry(id.unwrap_or_default()).or_default().place = places.is_valid(at).then(|| places.value(at));
    }
    let table = Table::read(&night.run.join("workers_audit.parquet"))?;
    let ids = table.needed("id", table.texts("id")?)?;
    let reasons = table.needed("reason", table.texts("reason")?)?;
    let flags = table.needed("flagged", table.column("flagged", &DataType::Boolean)?)?;
    let is_sign = |code: &str| Sign::ALL.iter().any(|sign| sign.reason().code() == code);
    for (at, (id, reason)) in ids.into_iter().zip(reasons).enumerate() {
        if flags.as_boolean().value(at) && reason.as_deref().is_some_and(is_sign) {
            told.entry(id.unwrap_or_default()).or_default().indicators.extend(reason);
        }
    }
    Ok(told)
}

/// Which reason led to which verdict in this run; the defaults, if it left no record.
fn verdict_policy(run: &Path) -> Result<VerdictPolicy> {
    let path = run.join("run.json");
    let Ok(bytes) = std::fs::read(&path) else { return Ok(VerdictPolicy::default()) };
    let refuse = |found: String| {
        Error::input(&path, "policy.verdicts", "a verdict for each reason", found, "audit the dump with this version")
    };
    let mut record: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
    serde_json::from_value(record["policy"]["verdicts"].take()).map_err(|e| refuse(e.to_string()))
}

fn given(path: &Path) -> Result<Vec<Given>> {
    let table = Table::read(path)?;
    let text = |name| table.needed(name, table.texts(name)?);
    let number = |name| table.needed(name, table.numbers(name)?);
    let verdicts = table.codes("verdict", &text("verdict")?, verdict)?;
    let reasons = table.code_lists("reasons", &table.needed("reasons", table.lists("reasons")?)?, reason)?;
    let (ids, districts) = (text("submission_id")?, text("district")?);
    let (originals, clusters) = (text("duplicate_of")?, text("cluster_id")?);
    let (members, workers) = (number("member_liveness")?, number("worker_liveness")?);
    let faces = table.faces()?;
    let rows = verdicts.into_iter().zip(reasons).zip(faces).enumerate();
    let row = |(row, ((verdict, reasons), faces)): (usize, ((Option<Verdict>, _), _))| {
        Ok(Given {
            submission_id: ids[row].clone(),
            district: districts[row].clone(),
            verdict: verdict.ok_or_else(|| table.refuse(format!("row {row}: verdict"), "a verdict", "null"))?,
            reasons,
            duplicate_of: originals[row].clone(),
            cluster_id: clusters[row].clone(),
            member_liveness: members[row],
            worker_liveness: workers[row],
            faces,
        })
    };
    rows.map(row).collect()
}

/// The truth in the order of its `row` column, the ids in the same order, and which columns there are.
fn truths(table: &Table, policy: &VerdictPolicy) -> Result<(Vec<Truth>, Vec<Option<String>>, Known)> {
    let ids = table.needed("submission_id", table.texts("submission_id")?)?;
    let must = table.code_lists("reasons", &table.needed("reasons", table.lists("reasons")?)?, reason)?;
    let may = table.code_lists("reasons_allowed", &table.lists("reasons_allowed")?.unwrap_or_default(), reason)?;
    let codes = |name, texts: Option<Texts>| table.codes(name, &texts.unwrap_or_default(), verdict);
    let verdicts = codes("verdict", table.texts("verdict")?)?;
    let allowed = table.lists("verdicts_allowed")?.unwrap_or_default();
    let allowed = table.code_lists("verdicts_allowed", &allowed, verdict)?;
    let patterns = table.codes("pattern", &table.texts("pattern")?.unwrap_or_default(), pattern)?;
    let (attack, attacked) = (table.texts("attack")?, table.texts("attacked")?);
    let [duplicate_of, account, worker, member] =
        ["duplicate_of", "account_person", "worker_person", "member_person"].map(|name| table.texts(name));
    let (duplicate_of, account, worker, member) = (duplicate_of?, account?, worker?, member?);
    let others = table.lists("others")?.unwrap_or_default();
    let (worker_box, member_box) = (table.boxes("worker_box")?, table.boxes("member_box")?);
    let known = Known {
        verdicts: !verdicts.is_empty() || table.batch.num_rows() == 0,
        patterns: !patterns.is_empty() || table.batch.num_rows() == 0,
        attacks: attack.is_some(),
        workers: worker.is_some(),
        members: member.is_some(),
        boxes: worker_box.is_some() && member_box.is_some(),
    };
    let cell = |texts: &Option<Texts>, row: usize| texts.as_ref().and_then(|texts| texts[row].clone());
    let bbox = |boxes: &Option<Vec<Option<[f32; 4]>>>, row: usize| boxes.as_ref().and_then(|boxes| boxes[row]);
    let truth = |row: usize| {
        let may = may.get(row).cloned().unwrap_or_default();
        let (derived, derived_allowed) = judged(policy, &must[row], &may);
        let stated = verdicts.get(row).copied().flatten();
        let kind = |attack: String| match cell(&attacked, row) {
            Some(whom) => format!("{attack}, {whom}"),
            None => attack,
        };
        Truth {
            must: must[row].clone(),
            may,
            verdict: stated.unwrap_or(derived),
            verdicts_allowed: match stated {
                Some(_) => allowed.get(row).cloned().unwrap_or_default(),
                None => derived_allowed,
            },
            duplicate_of: cell(&duplicate_of, row),
            pattern: patterns.get(row).copied().flatten(),
            attack: cell(&attack, row).map(kind),
            account_person: cell(&account, row),
            worker_person: cell(&worker, row),
            member_person: cell(&member, row),
            others: others.get(row).cloned().unwrap_or_default(),
            worker_box: bbox(&worker_box, row),
            member_box: bbox(&member_box, row),
        }
    };
    let order = table.order()?;
    let ids = order.iter().map(|&row| ids[row].clone()).collect();
    Ok((order.into_iter().map(truth).collect(), ids, known))
}

/// The verdict that the required reasons lead to, and those that the allowed ones may make of it.
fn judged(policy: &VerdictPolicy, must: &[Reason], may: &[Reason]) -> (Verdict, Vec<Verdict>) {
    let expected = policy.decide(must);
    // The gravest reason decides, so that one more at a time tells all there is.
    let mut allowed: Vec<Verdict> = may.iter().map(|&reason| policy.decide(&[reason]).max(expected)).collect();
    allowed.sort_unstable();
    allowed.dedup();
    (expected, allowed)
}

fn reason(code: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|r| r.code() == code)
}

fn verdict(code: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|v| v.code() == code)
}

fn pattern(code: &str) -> Option<Pattern> {
    [Pattern::Honest].iter().chain(Pattern::PLANTED).copied().find(|p| p.code() == code)
}

type Texts = Vec<Option<String>>;

/// A Parquet file in memory: verdicts and truth of a night are small beside its pictures.
struct Table {
    path: PathBuf,
    batch: RecordBatch,
}

impl Table {
    fn read(path: &Path) -> Result<Table> {
        let refuse = |found: String| {
            Error::input(path, "table", "a readable Parquet file", found, "name a run folder and its truth table")
        };
        let reader = open_parquet(path, refuse)?;
        let schema = reader.schema().clone();
        let batches = reader.build().map_err(|e| refuse(e.to_string()))?.collect::<Result<Vec<_>, _>>();
        let batch = batches.and_then(|batches| concat_batches(&schema, &batches));
        Ok(Table { path: path.to_path_buf(), batch: batch.map_err(|e| Error::of_reader(path, &e, refuse))? })
    }

    fn refuse(&self, item: impl Into<String>, expected: &str, found: impl Into<String>) -> Error {
        Error::input(&self.path, item, expected, found, "see `chehra evaluate audit --help` for the columns")
    }

    /// A column that must be there.
    fn needed<T>(&self, name: &str, column: Option<T>) -> Result<T> {
        column.ok_or_else(|| {
            let schema = self.batch.schema();
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            self.refuse(format!("column {name}"), "to be there", format!("the columns {}", names.join(", ")))
        })
    }

    fn column(&self, name: &str, wanted: &DataType) -> Result<Option<ArrayRef>> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(None) };
        let found = || self.refuse(format!("column {name}"), &wanted.to_string(), column.data_type().to_string());
        cast(column, wanted).map(Some).map_err(|_| found())
    }

    fn texts(&self, name: &str) -> Result<Option<Texts>> {
        Ok(self.column(name, &DataType::Utf8)?.map(|array| strings(&array)))
    }

    fn numbers(&self, name: &str) -> Result<Option<Vec<Option<f32>>>> {
        let column = self.column(name, &DataType::Float32)?;
        Ok(column.map(|array| array.as_primitive::<Float32Type>().iter().collect()))
    }

    /// Lists of texts; a null list is an empty one.
    fn lists(&self, name: &str) -> Result<Option<Vec<Vec<String>>>> {
        let list =
            |array: Option<ArrayRef>| array.map_or_else(Vec::new, |a| strings(&a).into_iter().flatten().collect());
        let column = self.column(name, &list_of(DataType::Utf8))?;
        Ok(column.map(|array| array.as_list::<i32>().iter().map(list).collect()))
    }

    /// Lists of four numbers; anything else is null.
    fn boxes(&self, name: &str) -> Result<Option<Vec<Option<[f32; 4]>>>> {
        let column = self.column(name, &list_of(DataType::Float32))?;
        Ok(column.map(|array| array.as_list::<i32>().iter().map(|list| list.as_ref().and_then(four)).collect()))
    }

    fn codes<T>(&self, name: &str, texts: &[Option<String>], read: fn(&str) -> Option<T>) -> Result<Vec<Option<T>>> {
        let cell = |(row, text): (usize, &Option<String>)| match text.as_deref() {
            None => Ok(None),
            Some(code) => read(code).map(Some).ok_or_else(|| {
                self.refuse(format!("row {row}: {name}"), "a code of this version", format!("'{code}'"))
            }),
        };
        texts.iter().enumerate().map(cell).collect()
    }

    fn code_lists<T>(&self, name: &str, lists: &[Vec<String>], read: fn(&str) -> Option<T>) -> Result<Vec<Vec<T>>> {
        let row = |(row, list): (usize, &Vec<String>)| {
            let code = |code: &String| {
                let refused =
                    || self.refuse(format!("row {row}: {name}"), "a code of this version", format!("'{code}'"));
                read(code).ok_or_else(refused)
            };
            list.iter().map(code).collect()
        };
        lists.iter().enumerate().map(row).collect()
    }

    /// Places of the rows in the order of the column `row`, which counts the dump's rows from 0; as they stand, where
    /// there is no such column.
    fn order(&self) -> Result<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.batch.num_rows()).collect();
        let Some(column) = self.column("row", &DataType::Int64)? else { return Ok(order) };
        let rows = column.as_primitive::<Int64Type>();
        order.sort_by_key(|&at| rows.value(at));
        match order.iter().enumerate().find(|&(row, &at)| rows.is_null(at) || rows.value(at) != row as i64) {
            None => Ok(order),
            Some((row, _)) => Err(self.refuse("column row", "each row of the dump once, from 0", format!("no {row}"))),
        }
    }

    /// The faces of the verdict table.
    fn faces(&self) -> Result<Vec<Vec<FaceGiven>>> {
        let column = self.needed("faces", self.batch.column_by_name("faces"))?;
        let refuse = || {
            let found = column.data_type().to_string();
            self.refuse("column faces", "lists of {box: list of numbers, role: text}", found)
        };
        let lists = column.as_list_opt::<i32>().ok_or_else(refuse)?;
        let row = |faces: Option<ArrayRef>| {
            let Some(faces) = faces else { return Ok(Vec::new()) };
            let fields = faces.as_struct_opt().ok_or_else(refuse)?;
            let field = |name, wanted: &DataType| {
                fields.column_by_name(name).and_then(|array| cast(array, wanted).ok()).ok_or_else(refuse)
            };
            let (boxes, roles) = (field("box", &list_of(DataType::Float32))?, field("role", &DataType::Utf8)?);
            let face = |(bbox, role): (Option<ArrayRef>, Option<String>)| {
                Some(FaceGiven { bbox: bbox.as_ref().and_then(four)?, role: role.unwrap_or_default() })
            };
            Ok(boxes.as_list::<i32>().iter().zip(strings(&roles)).filter_map(face).collect())
        };
        lists.iter().map(row).collect()
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn strings(array: &ArrayRef) -> Texts {
    array.as_string::<i32>().iter().map(|cell| cell.map(str::to_owned)).collect()
}

fn four(array: &ArrayRef) -> Option<[f32; 4]> {
    array.as_primitive::<Float32Type>().iter().collect::<Option<Vec<f32>>>()?.try_into().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A row of which only reasons are known, with the verdicts that follow from them.
    pub fn case(must: &[Reason], may: &[Reason], given: &[Reason]) -> Case {
        let policy = VerdictPolicy::default();
        let (verdict, verdicts_allowed) = judged(&policy, must, may);
        Case {
            night: 0,
            given: Given {
                submission_id: None,
                district: None,
                verdict: policy.decide(given),
                reasons: given.to_vec(),
                duplicate_of: None,
                cluster_id: None,
                member_liveness: None,
                worker_liveness: None,
                faces: Vec::new(),
            },
            truth: Truth {
                must: must.to_vec(),
                may: may.to_vec(),
                verdict,
                verdicts_allowed,
                duplicate_of: None,
                pattern: None,
                attack: None,
                account_person: None,
                worker_person: None,
                member_person: None,
                others: Vec::new(),
                worker_box: None,
                member_box: None,
            },
        }
    }

    #[test]
    fn accounts_and_what_a_run_says_of_them_are_read_by_their_columns() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
            let batch =
                RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
            let file = std::fs::File::create(temp.path().join(name)).unwrap();
            let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        let texts = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(arrow::array::StringArray::from(values)) };
        let (w1, w2) = (Some("W1"), Some("W2"));
        write(
            "truth.parquet",
            vec![
                ("worker_id", texts(vec![w1, w1, w2])),
                ("home", texts(vec![Some("room"), Some("room"), None])),
                ("habit", texts(vec![None, None, Some("camp")])),
            ],
        );
        let places: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![1]));
        write("call_first.parquet", vec![("worker_id", texts(vec![w1])), ("place_in_list", places)]);
        let flags: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![true, false, true]));
        let reasons = texts(vec![Some("same_place"), Some("burst"), Some("one_face")]);
        write("workers_audit.parquet", vec![("id", texts(vec![w1, w1, w2])), ("reason", reasons), ("flagged", flags)]);
        let folder = temp.path().to_path_buf();
        let night = Night { run: folder.clone(), truth: folder };
        let report = super::super::presence::report(std::slice::from_ref(&night)).unwrap().unwrap();
        assert_eq!((report.found_in_first_ten.count, report.flagged.count, report.honest_flagged.count), (1, 1, 0));
        assert_eq!((report.ways[0].name.as_str(), report.habits[0].name.as_str()), ("room", "camp"));
        assert_eq!(report.ways[0].indicators.len(), 1);
        std::fs::remove_file(night.run.join("workers_audit.parquet")).unwrap();
        assert!(super::super::presence::report(std::slice::from_ref(&night)).is_err(), "one table without the other");
        std::fs::remove_file(night.run.join("call_first.parquet")).unwrap();
        assert_eq!(super::super::presence::report(&[night]).unwrap(), None);
    }

    #[test]
    fn the_gravest_allowed_reason_is_as_good() {
        let policy = VerdictPolicy::default();
        let judged = |must: &[Reason], may: &[Reason]| judged(&policy, must, may);
        let (one, more) = judged(&[Reason::OneFace], &[Reason::WorkerAbsent, Reason::NoFace]);
        assert_eq!((one, more), (Verdict::Retake, vec![Verdict::Retake, Verdict::Review]));
        let (reject, more) = judged(&[Reason::PhotoOfPhoto], &[Reason::DuplicateMember]);
        assert_eq!((reject, more), (Verdict::Reject, vec![Verdict::Reject]));
        assert_eq!(judged(&[], &[]), (Verdict::Accept, vec![]));
    }

    #[test]
    fn every_code_is_read_back() {
        assert!(Reason::ALL.iter().all(|r| reason(r.code()) == Some(*r)));
        assert!(Verdict::ALL.iter().all(|v| verdict(v.code()) == Some(*v)));
        assert!(Pattern::PLANTED.iter().all(|p| pattern(p.code()) == Some(*p)));
        assert_eq!(pattern("honest"), Some(Pattern::Honest));
        assert_eq!(reason("no_such"), None);
    }
}
