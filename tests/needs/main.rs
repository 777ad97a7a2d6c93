//! Tests that need something which a machine may lack: a compiler, strace, a browser, other programs, data sets, time.
//!
//! A harness of its own: what cannot run is counted as ignored, with the reason, and never as passed. A test says so itself
//! with [`skip`], wherever in it that turns out. Slow tests run with `CHEHRA_SLOW=1`.

mod chromium;
mod data;
mod durable;
#[path = "../it/evaluate_dedup.rs"]
#[allow(dead_code, unused_imports, reason = "most of its tests run in `it`")]
mod evaluate_dedup;
#[cfg(target_os = "linux")]
mod gpu_kit;
#[path = "../it/iresnet.rs"]
#[allow(dead_code, unused_imports, reason = "most of its tests run in `it`")]
mod iresnet;
mod kernels;
mod programs;
#[path = "../it/review"]
mod review {
    #[allow(dead_code, reason = "the tests of `it` ask for more")]
    pub mod client;
}
mod review_calls;
mod review_desk;
mod review_page;
mod slow;
mod traced;
#[path = "../it/util.rs"]
#[allow(dead_code, reason = "the tests of `it` use all of it")]
mod util;

use std::panic::{catch_unwind, resume_unwind};
use std::process::Command;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A test and its name.
type Test = (&'static str, fn());

macro_rules! tests {
    ($($test:path),+ $(,)?) => { &[$((stringify!($test), $test as fn())),+] };
}

const TESTS: &[Test] = tests![
    data::lfw_pairs_are_told_apart,
    data::nuaa_prints_are_not_accepted,
    data::one_region_is_more_alike_than_the_world,
    kernels::faces::boxes_become_the_same_faces,
    kernels::faces::faces_are_warped_as_on_the_cpu,
    kernels::faces::more_candidates_than_a_list_holds_are_left_to_the_host,
    kernels::faces::photos_are_shrunk_as_on_the_cpu,
    kernels::faces::pictures_are_turned_upright_and_gathered_as_on_the_cpu,
    kernels::faces::surroundings_are_resized_as_on_the_cpu,
    kernels::form::a_launch_has_as_many_threads_as_elements,
    kernels::form::arguments_that_do_not_fit_are_refused,
    kernels::form::metal_buffers_are_numbered_in_order,
    kernels::form::structures_are_those_of_the_kernels,
    kernels::network::dense_convolutions_are_those_of_the_cpu,
    kernels::network::depthwise_convolutions_are_those_of_the_cpu,
    kernels::network::elementwise_operations_are_those_of_the_cpu,
    kernels::network::pooling_is_that_of_the_cpu,
    kernels::search::a_list_that_overflows_is_said_to_be_full,
    kernels::search::every_row_within_reach_is_found_with_the_sum_of_the_cpu,
    kernels::search::the_best_rows_always_come_back,
    programs::alerts_hold_and_metrics_are_prometheus,
    programs::bash_completes,
    programs::fish_completes,
    programs::python_module_reads_what_the_program_leaves,
    programs::man_shows_the_pages_without_a_warning,
    programs::mandoc_finds_no_error_in_the_pages,
    programs::the_dockerfile_is_clean,
    programs::the_example_reads_the_tables_of_a_run,
    programs::units_are_verified_by_systemd,
    programs::zsh_reads_its_completions,
    review_calls::a_list_is_called_through_by_keys_alone,
    review_calls::the_page_of_calls_fits_phone_and_desktop_in_both_languages,
    review_desk::three_people_decide_over_rows_and_pairs_and_the_next_audit_says_so,
    review_page::a_page_without_its_desk_says_so_and_loses_nothing,
    review_page::a_queue_is_worked_through_by_keys_alone,
    review_page::the_page_fits_phone_and_desktop_in_both_languages_light_and_dark,
    slow::iresnet_100_matches_onnx_runtime,
    slow::predicted_and_observed_agree_up_to_a_million,
];

#[cfg(target_os = "linux")]
const ON_LINUX: &[Test] = tests![
    durable::erasure::an_abandoned_spool_is_removed_after_a_week_and_a_killed_export_at_once,
    durable::erasure::at_every_kill_of_forget_a_receipt_says_no_more_than_is_true,
    durable::erasure::who_is_forgotten_while_an_audit_runs_stays_forgotten,
    durable::kills::a_reviewer_is_told_only_of_what_is_in_the_log,
    durable::kills::an_audit_comes_to_the_same_tables_and_the_same_store,
    durable::kills::compaction_and_import_come_to_the_same_end,
    durable::power::a_cut_of_an_audit_loses_no_member_and_adds_none_twice,
    durable::power::a_cut_of_compact_and_import_loses_nobody,
    durable::power::a_cut_of_forget_loses_nobody_and_no_receipt_says_more_than_is_true,
    gpu_kit::a_card_that_is_not_there_ends_the_scripts_with_what_was_looked_for,
    gpu_kit::a_kit_that_cannot_run_here_is_refused_before_any_work,
    gpu_kit::a_step_that_fails_or_hangs_hides_no_other,
    programs::the_archive_is_whole_and_made_the_same_way_twice,
    traced::a_kill_at_any_step_of_the_commit_costs_nothing,
    traced::a_night_without_its_page_is_whole_and_does_not_end_with_0,
    traced::the_system_saw_the_flush_before_the_answer,
];
#[cfg(not(target_os = "linux"))]
const ON_LINUX: &[Test] = &[];

fn main() {
    let arguments = Arguments::from_args();
    let trial = |&(name, test): &Test| Trial::ignorable_test(name, move || outcome(test));
    let trials = TESTS.iter().chain(ON_LINUX).map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Why a test was left out.
struct Skipped(String);

fn outcome(test: fn()) -> Result<Completion, Failed> {
    match catch_unwind(test) {
        Ok(()) => Ok(Completion::Completed),
        Err(panic) => match panic.downcast::<Skipped>() {
            Ok(skipped) => Ok(Completion::ignored_with(skipped.0)),
            Err(panic) => resume_unwind(panic),
        },
    }
}

/// Ends the test that calls it: it is counted as ignored, for this reason.
fn skip(reason: impl Into<String>) -> ! {
    resume_unwind(Box::new(Skipped(reason.into())))
}

/// Skips unless slow tests are asked for.
fn slow() {
    if std::env::var_os("CHEHRA_SLOW").is_none() {
        skip("slow; set CHEHRA_SLOW=1");
    }
}

/// Exit code, standard output and standard error of a program; skips where it is not installed.
fn tool(program: &str, prepare: impl FnOnce(&mut Command) -> &mut Command) -> (i32, String, String) {
    let mut command = Command::new(program);
    prepare(&mut command);
    match command.output() {
        Ok(output) => {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
        }
        Err(error) => skip(format!("{program} cannot be run: {error}")),
    }
}
