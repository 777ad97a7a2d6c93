//! Who is answered, and what is on the disk when an answer comes.

use serde_json::json;

use super::client::{Desk, id, items, lines, nonce, runs};
use crate::util::{Place, chehra, run};

#[test]
fn only_the_desks_own_page_is_answered() {
    let place = Place::new();
    let desk = Desk::start(&runs().join("one"), &place.path("d.jsonl"), &[]);
    assert_eq!(desk.token.len(), 32);
    assert!(desk.host.starts_with("127.0.0.1:"));
    let (host, own) = (desk.host.as_str(), format!("http://{}", desk.host));
    let at = |path: &str| format!("/{}/{path}", desk.token);
    let json_type = ("Content-Type", "application/json");
    let item = id(&items(&desk.state("asha"))[0]);
    let body = json!({ "reviewer": "asha", "nonce": nonce(), "item": item, "answer": "same" }).to_string();
    let wrong = format!("/{}/", "0".repeat(32));
    type Case<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, &'a str);
    let refused: Vec<Case> = vec![
        ("GET", "/".into(), vec![("Host", host)], ""),
        ("GET", "/favicon.ico".into(), vec![("Host", host)], ""),
        ("GET", wrong, vec![("Host", host)], ""),
        ("GET", format!("/{}", desk.token), vec![("Host", host)], ""),
        ("GET", at("state"), vec![("Host", "evil.example")], ""),
        ("GET", at("state"), vec![("Host", host), ("Sec-Fetch-Site", "cross-site")], ""),
        ("GET", at("picture/x/a/face"), vec![("Host", host), ("Sec-Fetch-Site", "same-site")], ""),
        ("POST", at("decide"), vec![("Host", host), json_type], &body),
        ("POST", at("decide"), vec![("Host", host), json_type, ("Origin", "http://evil.example")], &body),
        ("POST", at("decide"), vec![("Host", host), json_type, ("Origin", "null")], &body),
        (
            "POST",
            at("decide"),
            vec![("Host", host), json_type, ("Origin", &own), ("Sec-Fetch-Site", "cross-site")],
            &body,
        ),
        ("POST", at("undo"), vec![("Host", "evil.example"), json_type, ("Origin", "http://evil.example")], &body),
        ("OPTIONS", at("decide"), vec![("Host", host), ("Origin", "http://evil.example")], ""),
    ];
    for (method, path, headers, body) in refused {
        let answer = desk.raw(method, &path, &headers, body);
        assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
        assert!(answer.body.is_empty(), "no hint: {method} {path} {headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(lines(&place.path("d.jsonl")).len(), 0, "nothing came through");

    let page = desk.get("");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("access-control-allow-origin"), None);
    let text = String::from_utf8(page.body).unwrap();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style="), "{text}");

    // A form of another site can send text/plain without asking; it is refused even with the right origin.
    let plain =
        desk.raw("POST", &at("decide"), &[("Host", host), ("Origin", &own), ("Content-Type", "text/plain")], &body);
    assert_eq!(plain.status, 415);
    let long = format!("{{\"note\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(desk.raw("POST", &at("decide"), &[("Host", host), ("Origin", &own), json_type], &long).status, 413);
    assert_eq!(desk.raw("POST", &at("decide"), &[("Host", host), ("Origin", &own), json_type], "{").status, 400);
    assert_eq!(desk.raw("POST", &at("decide"), &[("Host", host), ("Origin", &own), json_type], &body).status, 200);
    assert_eq!(desk.get("item/0000?reviewer=asha").status, 404);
    assert_eq!(desk.get("../../etc/passwd").status, 404);
    assert_eq!(desk.get("state?reviewer=").status, 400);
}

#[test]
fn other_machines_are_not_listened_to() {
    let place = Place::new();
    for address in ["0.0.0.0", "::", "192.0.2.1"] {
        let mut command = chehra();
        command.arg("review").arg(runs().join("one")).args(["--bind", address, "--decisions"]);
        let (code, stdout, stderr) = run(command.arg(place.path("d.jsonl")));
        assert_eq!(code, 64, "{address}: {stderr}");
        assert!(stdout.is_empty() && stderr.contains("--bind"), "{address}: {stderr}");
    }
    let (code, _, stderr) = run(chehra().args(["review", "no-such-run"]));
    assert_eq!(code, 65, "{stderr}");
    let (code, _, stderr) = run(chehra().arg("review").arg(place.dir.path()));
    assert_eq!(code, 65, "a folder that is no run: {stderr}");
    let (code, _, stderr) = run(chehra().arg("review").arg(runs().join("one")).args(["--second-share", "2"]));
    assert_eq!(code, 64, "{stderr}");
}

#[test]
fn a_decision_outlives_a_kill_right_after_its_answer() {
    let place = Place::new();
    let log = place.path("d.jsonl");
    let run = runs().join("one");
    for round in 1..=5 {
        let mut desk = Desk::start(&run, &log, &[]);
        let state = desk.state("asha");
        let open = items(&state).into_iter().find(|item| item["open"] == true).unwrap();
        let answer = desk.decide("asha", &id(&open), "same");
        desk.kill();
        assert_eq!(answer.json()["changed"], open["id"]);
        let kept = lines(&log);
        assert_eq!(kept.len(), round);
        assert_eq!(kept[round - 1]["answer"], "same");
    }
    // The machine died in the middle of a line: that one was confirmed to nobody, all others stay.
    let whole = std::fs::read(&log).unwrap();
    let cut = whole.len() - 40;
    std::fs::write(&log, &whole[..cut]).unwrap();
    let desk = Desk::start(&run, &log, &[]);
    let state = desk.state("asha");
    assert_eq!((state["mine"].clone(), state["torn"].clone()), (json!(4), json!(1)));
    assert_eq!(lines(&log).len(), 4);
    let kept: Vec<String> = place.list().into_iter().filter(|name| name.contains(".torn-")).collect();
    assert_eq!(kept.len(), 1);
    let start = whole[..cut].iter().rposition(|&b| b == b'\n').unwrap() + 1;
    assert_eq!(std::fs::read(place.path(&kept[0])).unwrap(), whole[start..cut]);
    let open = items(&state).into_iter().find(|item| item["open"] == true).unwrap();
    assert_eq!(desk.decide("asha", &id(&open), "different").status, 200);
    assert_eq!(lines(&log).len(), 5);
}
