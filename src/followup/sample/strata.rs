//! The memberships of nights -> strata with their calls, and the frame.

use std::collections::{BTreeMap, HashSet};

use super::super::members::{Member, NightMembers};
use super::job::SampleJob;
use super::record::{FrameRow, Stratum};
use crate::assurance::design;
use crate::dump::facts::{Mobile, folded};
use crate::reason::Verdict;
use crate::{Error, Result};

type StratumKey = (usize, String, String, bool, bool);

/// Strata with their calls, and the frame.
pub fn stratify(
    nights: &[NightMembers],
    checked: &HashSet<(String, String)>,
    job: &SampleJob,
) -> Result<(Vec<Stratum>, Vec<FrameRow>)> {
    let mut groups: BTreeMap<StratumKey, Vec<&Member>> = BTreeMap::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for (night, members) in nights.iter().enumerate() {
        for member in members.members.iter().filter(|member| member.is_own_membership()) {
            if !seen.insert(&member.submission_id) {
                continue;
            }
            let place = |text: &Option<String>| text.as_deref().map(folded).unwrap_or_default();
            let district = place(&member.facts.district);
            let is_checked = checked.contains(&(district.clone(), place(&member.facts.booth_id)));
            let accepted = member.verdict == Verdict::Accept;
            let key = (night, place(&member.facts.division), district, accepted, is_checked);
            groups.entry(key).or_default().push(member);
        }
    }
    if groups.is_empty() {
        let (problem, fix) = ("none of the rows is a membership with an id", "name a run with rows");
        return Err(Error::usage("RUN", problem, fix));
    }
    let mut strata = Vec::new();
    let mut frame = Vec::new();
    for ((night, _, _, accepted, booth_checked), members) in groups {
        let spelt = |of: fn(&Member) -> &Option<String>| {
            members.iter().filter_map(|member| of(member).clone()).min().unwrap_or_default()
        };
        strata.push(Stratum {
            run_id: nights[night].run_id.clone(),
            division: spelt(|member| &member.facts.division),
            district: spelt(|member| &member.facts.district),
            accepted,
            booth_checked,
            members: members.len() as u64,
            calls: 0,
        });
        frame.extend(members.into_iter().map(|member| frame_row(member, strata.len() - 1)));
    }
    allocate(&mut strata, job);
    Ok((strata, frame))
}

/// Calls for accepted members and for others, each over their strata.
fn allocate(strata: &mut [Stratum], job: &SampleJob) {
    let members = |accepted: bool| -> u64 {
        strata.iter().filter(|stratum| stratum.accepted == accepted).map(|stratum| stratum.members).sum()
    };
    let wanted = (job.calls as f64 * job.other_share).round() as u64;
    // What one side cannot take goes to the other.
    let others = wanted.min(members(false)).max(job.calls.saturating_sub(members(true)));
    for (accepted, calls) in [(true, job.calls.saturating_sub(others.min(job.calls))), (false, others)] {
        let own: Vec<usize> = (0..strata.len()).filter(|&s| strata[s].accepted == accepted).collect();
        let weight = |s: usize| if strata[s].booth_checked { 1.0 } else { job.booth_weight };
        let sizes: Vec<(u64, f64)> = own.iter().map(|&s| (strata[s].members, weight(s))).collect();
        let given = design::allocate(&sizes, calls);
        own.into_iter().zip(given).for_each(|(s, calls)| strata[s].calls = calls);
    }
}

fn frame_row(member: &Member, stratum: usize) -> FrameRow {
    let mobile = member.facts.mobile.as_deref().and_then(|typed| Mobile::parse(typed).ok());
    FrameRow {
        submission_id: member.submission_id.clone(),
        stratum,
        booth_id: member.facts.booth_id.clone(),
        mobile_end: mobile.map(|mobile| end_of(mobile.as_str())),
        verdict: member.verdict,
        reasons: member.reasons.clone(),
        liveness: member.liveness,
        similarity: member.similarity,
        review_at_false_share: member.review_at_false_share,
    }
}

/// The last three digits: enough to notice another number, not to dial it.
pub fn end_of(mobile: &str) -> String {
    mobile.chars().skip(mobile.chars().count().saturating_sub(3)).collect()
}
