//! Whether something is in a reviewer's part of the work.

use crate::decisions::Assignment;
use crate::statistics::uniform_of;

/// Whether something of these districts is in a reviewer's part; what lies in several is, where one of them is.
pub fn is_given(assignment: Option<&Assignment>, districts: &[&str], name: &str) -> bool {
    let Some(Assignment { districts: wanted, part, .. }) = assignment else { return true };
    let is_there = wanted.is_empty() || districts.iter().any(|district| wanted.iter().any(|other| other == district));
    let is_part = part.is_none_or(|[k, n]| {
        let draw = uniform_of(&["part", name]) * f64::from(n);
        draw as u32 + 1 == k
    });
    is_there && is_part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_the_work_and_districts_choose_it() {
        let part = |k| Assignment { part: Some([k, 3]), ..Assignment::default() };
        let names: Vec<String> = (0..300).map(|i| format!("row {i}")).collect();
        for name in &names {
            let takers = (1..=3).filter(|&k| is_given(Some(&part(k)), &["Ujjain"], name)).count();
            assert_eq!(takers, 1, "{name}");
        }
        let first = names.iter().filter(|name| is_given(Some(&part(1)), &[], name)).count();
        assert!((70..130).contains(&first), "{first}");
        let ujjain = Assignment { districts: vec!["Ujjain".into()], ..Assignment::default() };
        assert!(is_given(Some(&ujjain), &["Indore", "Ujjain"], "x") && !is_given(Some(&ujjain), &["Indore"], "x"));
        assert!(is_given(None, &[], "x"));
    }
}
