//! The scripts that are carried to a machine with a card (`benches/gpu`): what they refuse, and that a step that fails, hangs or
//! has no time left costs nothing but itself. The kit here has the real program, so what is asked of a card is really asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool;
use crate::util::{Place, chehra, run};

const DEVICE_ABSENT: i32 = 69;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gpu")
}

/// A kit of the program that is tested, which says that it needs this C library.
fn kit(place: &Place, glibc: &str, machine: &str) -> PathBuf {
    let kit = place.path("kit");
    fs::create_dir_all(&kit).unwrap();
    let program = kit.join("chehra");
    if !program.exists() {
        std::os::unix::fs::symlink(chehra().get_program(), &program).unwrap();
    }
    fs::write(kit.join("KIT"), format!("commit=tested\nglibc={glibc}\nmachine={machine}\n")).unwrap();
    kit
}

fn script(name: &str, place: &Place, words: &[&str]) -> (i32, String, String) {
    let mut command = bash();
    command.arg(scripts().join(name)).args(words).arg("--out").arg(place.path("out"));
    run(command.current_dir(&place.dir))
}

/// Without what a tester may have set for the program.
fn bash() -> Command {
    let (mut command, clean) = (Command::new("bash"), chehra());
    clean.get_envs().filter(|(_, value)| value.is_none()).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

pub fn a_kit_that_cannot_run_here_is_refused_before_any_work() {
    let place = Place::new();
    let machine = std::env::consts::ARCH;
    let cases: [(&dyn Fn() -> PathBuf, &[&str]); 5] = [
        (&|| place.path("nowhere.tar.xz"), &["no kit", "nowhere.tar.xz", "benches/gpu/pack.sh"]),
        (
            &|| {
                fs::write(place.path("junk.tar.xz"), "no archive").unwrap();
                place.path("junk.tar.xz")
            },
            &["junk.tar.xz", "is no archive"],
        ),
        (
            &|| {
                fs::create_dir_all(place.path("empty")).unwrap();
                place.path("empty")
            },
            &["is no kit", "it has no KIT"],
        ),
        (&|| kit(&place, "99.9", machine), &["needs glibc 99.9", "this machine has", "pack it on"]),
        (&|| kit(&place, "2.17", "riscv128"), &["is for riscv128", machine]),
    ];
    for name in ["check.sh", "measure.sh"] {
        for (make, said) in &cases {
            let kit = make();
            let (code, _, stderr) = script(name, &place, &["--kit", kit.to_str().unwrap(), "--device", "cuda"]);
            assert_eq!(code, DEVICE_ABSENT, "{name} {said:?}: {stderr}");
            assert!(said.iter().all(|words| stderr.contains(words)), "{name} {said:?}: {stderr}");
            assert_eq!(stderr.trim().lines().count(), 1, "one message: {stderr}");
        }
        assert_eq!(script(name, &place, &["--device", "gpu"]).0, 64);
        assert_eq!(script(name, &place, &["--kit"]).0, 64);
    }
}

/// The program's own message, once, and no step on the CPU instead.
pub fn a_card_that_is_not_there_ends_the_scripts_with_what_was_looked_for() {
    let place = Place::new();
    let kit = kit(&place, "2.17", std::env::consts::ARCH);
    for name in ["check.sh", "measure.sh"] {
        let words = ["--kit", kit.to_str().unwrap(), "--device", "cuda:4000"];
        let (code, stdout, stderr) = script(name, &place, &words);
        assert_eq!((code, stdout.as_str()), (DEVICE_ABSENT, ""), "{stderr}");
        assert_eq!(stderr.matches("--device cuda:4000:").count(), 1, "{stderr}");
        let log = fs::read_to_string(place.path("out/log.txt")).unwrap();
        assert!(log.contains("--device cuda:4000:"), "what comes back says it too: {log}");
        assert!(!place.path("out/results.tgz").exists());
    }
}

/// Steps that pass, hang, fail, are cut off in what they print, and come too late: each says so, the archive has all of them.
pub fn a_step_that_fails_or_hangs_hides_no_other() {
    tool("python3", |command| command.arg("--version"));
    let place = Place::new();
    let kit = kit(&place, "2.17", std::env::consts::ARCH);
    let steps = place.path("steps.sh");
    let text = format!(
        "here={} root={} seconds=60\n. \"$here/lib.sh\"\noptions --kit {} --device cpu --out {}\nbegin\n\
         step good 9 txt echo hello\n\
         step hangs 1 txt sleep 50\n\
         step fails 9 txt bash -c 'echo the reason >&2\n exit 3'\n\
         step see-cut 9 json echo '{{\"see\":'\n\
         [ -s \"$out/results.tgz\" ] && step kept 9 txt tar -tzf \"$out/results.tgz\"\n\
         deadline=$SECONDS\n\
         step late 9 txt echo never\n\
         finish\n",
        scripts().display(),
        env!("CARGO_MANIFEST_DIR"),
        kit.display(),
        place.path("out").display()
    );
    fs::write(&steps, text).unwrap();
    let (code, table, stderr) = run(bash().arg(&steps));
    assert_eq!(code, 1, "{stderr}");
    for row in [
        "| `good` | ok |",
        "| `hangs` | **FAILED: ended after 1 s** |",
        "| `fails` | **FAILED: exit 3** |",
        "| `kept` | ok |",
        "| `late` | **not run: no time left** |",
    ] {
        assert!(table.contains(row), "{row} in {table}\n{stderr}");
    }
    assert!(stderr.contains("2 steps FAILED"), "{stderr}");
    let log = fs::read_to_string(place.path("out/log.txt")).unwrap();
    assert!(log.contains("the reason") && log.contains("=== late: not run"), "{log}");
    let unpacked = place.path("unpacked");
    fs::create_dir_all(&unpacked).unwrap();
    let mut tar = Command::new("tar");
    let (code, _, stderr) = run(tar.arg("-xzf").arg(place.path("out/results.tgz")).arg("-C").arg(&unpacked));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read_to_string(unpacked.join("results/good.txt")).unwrap(), "hello\n");
    // What had come back while the script still ran was whole as well.
    let kept = fs::read_to_string(unpacked.join("results/kept.txt")).unwrap();
    assert!(kept.contains("results/good.txt") && kept.contains("results/fails.err"), "{kept}");
}
