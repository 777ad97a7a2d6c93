//! What a reviewer may be asked of the rows, in which order.
//!
//! It is a function of the rows, the log and the reviewer's name, and of nothing that this reviewer must not see.

use std::time::Duration;

use super::super::given::is_given;
use super::super::request::lock;
use super::desk::Rows;
use super::item::{Item, RowQueue, Stand};
use super::views::{QueueCounts, RowItem};
use crate::decisions::{Appealed, Ledger, Question, RowAnswer, Why};

/// So long a row that somebody looks at is not offered to another.
const HELD: Duration = Duration::from_secs(90);

impl Rows {
    /// How a row stands for a reviewer.
    pub(super) fn stand(&self, ledger: &Ledger, reviewer: &str, row: &Item) -> Stand {
        let key = &row.key;
        let answers = ledger.row_answers(key);
        let mine = answers.get(reviewer).map(|(_, judgement)| *judgement);
        let settled = ledger.settled_row(key);
        let disputed = settled.as_ref().is_some_and(|settled| settled.disputed);
        let appeal = settled.as_ref().and_then(|settled| settled.appeal);
        let is_filer = ledger.appeal(key).is_some_and(|filed| filed.by == reviewer);
        let others: Vec<(String, RowAnswer)> = answers
            .iter()
            .filter(|(who, _)| **who != reviewer)
            .map(|(who, (_, judgement))| ((*who).to_owned(), judgement.answer))
            .collect();
        let opinions = others.iter().filter(|(_, answer)| *answer != RowAnswer::Pass).count();
        let may_settle = disputed && mine.is_none();
        let may_judge_appeal =
            appeal == Some(Appealed::Open) && !is_filer && mine.is_none_or(|mine| mine.answer == RowAnswer::Pass);
        let is_decided_between = answers.values().any(|(_, judgement)| judgement.why.is_final());
        // Who was asked blind is told what others said when they disagree, and not before.
        let may_know = !row.second || disputed || may_judge_appeal || is_decided_between;
        let is_free = appeal != Some(Appealed::Open) && !disputed && !is_decided_between;
        let held = lock(&self.held).get(&row.id).is_some_and(|(who, at)| who != reviewer && at.elapsed() < HELD);
        Stand {
            is_asked: is_free && mine.is_none() && opinions < if row.second { 2 } else { 1 },
            may_settle,
            may_judge_appeal,
            may_know,
            disputed,
            appeal,
            why: mine.map(|mine| mine.why),
            item: RowItem {
                id: row.id.clone(),
                open: false,
                mine: mine.map(|mine| mine.answer),
                note: mine.and_then(|mine| mine.note.clone()),
                by: if may_know { others } else { Vec::new() },
                held: held && !row.second,
                disputed: disputed && may_know,
                verdict: row.judged.verdict.code(),
            },
        }
    }

    /// The items of one queue for a reviewer, and the counts of all; without a queue of the first that has something left.
    pub(super) fn queues(
        &self,
        ledger: &Ledger,
        reviewer: &str,
        wanted: Option<RowQueue>,
    ) -> (RowQueue, Vec<RowItem>, Vec<QueueCounts>) {
        let given = ledger.assignments(&self.run_id).get(reviewer).copied().cloned();
        let mut lists: Vec<Vec<RowItem>> = vec![Vec::new(); RowQueue::ALL.len()];
        let mut disputed = vec![0; RowQueue::ALL.len()];
        let rows = lock(&self.items);
        for (at, row) in rows.iter().enumerate() {
            let stand = self.stand(ledger, reviewer, row);
            for (place, queue) in RowQueue::ALL.into_iter().enumerate() {
                let open = match queue {
                    RowQueue::About(question) => {
                        let is_here = row.is_listed && row.judged.question == question;
                        let is_ours = is_given(given.as_ref(), &[&row.judged.district], &row.id);
                        let is_here = is_here && (is_ours || stand.item.mine.is_some());
                        is_here.then_some(stand.is_asked)
                    }
                    RowQueue::Appeals => stand.appeal.map(|_| stand.may_judge_appeal),
                    RowQueue::Disputes => {
                        let was = stand.why == Some(Why::Dispute);
                        (stand.disputed && stand.item.disputed || was).then_some(stand.may_settle)
                    }
                };
                let Some(open) = open else { continue };
                disputed[place] += usize::from(stand.item.disputed);
                lists[place].push(RowItem { open, ..stand.item.clone() });
                if matches!(queue, RowQueue::About(Question::Worker)) {
                    let seeds = self.seeds.iter().filter(|seed| seed.seed.after == at);
                    lists[place].extend(seeds.map(|seed| self.seed_item(ledger, reviewer, seed, &rows)));
                }
            }
        }
        let counts: Vec<QueueCounts> = RowQueue::ALL
            .into_iter()
            .enumerate()
            .map(|(place, queue)| QueueCounts {
                queue: queue.code(),
                total: lists[place].len(),
                left: lists[place].iter().filter(|item| item.open).count(),
                disputed: disputed[place],
            })
            .collect();
        let first = || counts.iter().position(|count| count.left > 0).unwrap_or(0);
        let place = wanted.and_then(|queue| RowQueue::ALL.iter().position(|other| *other == queue));
        let place = place.unwrap_or_else(first);
        (RowQueue::ALL[place], lists.swap_remove(place), counts)
    }
}
