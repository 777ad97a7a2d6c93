//! What fails, and what is said of it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Proxy, SECRET, Server, at_port};
use crate::util::{Place, chehra, fixture, run};
use crate::{assert_same_here, done, refused, skip};

pub fn a_bucket_that_is_not_there_and_a_server_that_is_down_are_told_apart() {
    let (server, place) = (Server::shared(), Place::new());
    let out = place.path("out");
    let audit = |command: &mut Command, bucket: &str| {
        command.args(["-q", "audit", &format!("s3://{bucket}/night"), "--out"]).arg(&out);
    };
    let mut command = server.chehra(&place);
    audit(&mut command, "no-such-bucket");
    refused(&mut command, 65, &["s3://no-such-bucket/night", "404", "NoSuchBucket", "check the address"]);
    let begun = Instant::now();
    let mut command = at_port(9, &place);
    audit(&mut command, "any");
    refused(&mut command, 75, &["s3://any/night", "after 6 retries", "give the same command again"]);
    assert!(begun.elapsed() < Duration::from_secs(180));
    assert!(!out.exists());
}

pub fn connections_that_are_cut_cost_nothing_unless_they_always_are() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("cuts", "night");
    let (here, there) = (place.path("here"), place.path("there"));
    done(chehra().args(["-q", "audit", "--no-report", "--out"]).arg(&here).arg(fixture("night")));
    let proxy = Proxy::new(server, 3, 200_000);
    done(at_port(proxy.port, &place).args(["-q", "audit", "--no-report", "s3://cuts/night", "--out"]).arg(&there));
    assert!(proxy.has_cut_all());
    assert_same_here(&here, &there);

    // Cut again and again in the middle of pages: nothing half is taken for an end.
    let proxy = Proxy::new(server, i64::MAX, 200_000);
    let out = place.path("no");
    let mut command = at_port(proxy.port, &place);
    command.args(["-q", "audit", "--no-report", "s3://cuts/night", "--out"]).arg(&out);
    refused(&mut command, 75, &["s3://cuts/night/", "6 retries", "give the same command again"]);
    assert!(!out.exists());
}

pub fn wrong_credentials_are_told_at_once() {
    let place = Place::new();
    // The first requests make a user who may do all, and a bucket.
    let server = Server::start(Some(5)).unwrap_or_else(|reason| skip(reason));
    let moto = std::env::var_os("CHEHRA_MOTO").map(std::path::PathBuf::from);
    let python = moto.and_then(|program| Some(program.parent()?.join("python3"))).unwrap_or_else(|| "python3".into());
    let script = "import boto3, json, sys
url = 'http://127.0.0.1:' + sys.argv[1]
keys = dict(endpoint_url=url, region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='x')
iam, s3 = boto3.client('iam', **keys), boto3.client('s3', **keys)
iam.create_user(UserName='u')
rule = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'}]}
iam.put_user_policy(UserName='u', PolicyName='p', PolicyDocument=json.dumps(rule))
key = iam.create_access_key(UserName='u')['AccessKey']
s3.create_bucket(Bucket='guarded')
s3.put_object(Bucket='guarded', Key='night/submissions-0.parquet', Body=open(sys.argv[2], 'rb').read())
print(key['AccessKeyId'], key['SecretAccessKey'])";
    let output = Command::new(python)
        .args(["-c", script, &server.port.to_string()])
        .arg(fixture("night/submissions-0.parquet"))
        .stderr(Stdio::inherit())
        .output();
    let output = output.unwrap_or_else(|error| skip(format!("no python3 beside moto_server: {error}")));
    let text = String::from_utf8(output.stdout).unwrap();
    let Some((id, secret)) = text.trim().split_once(' ') else { skip("boto3 did not make a user") };
    let see = |id: &str, secret: &str| {
        let mut command = server.chehra(&place);
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        command.args(["-q", "see", "s3://guarded/night", "--part", "1/9", "--out"]).arg(place.path("seen"));
        command
    };
    let begun = Instant::now();
    let said = refused(&mut see(id, SECRET), 65, &["s3://guarded/night", "403", "AWS_SECRET_ACCESS_KEY"]);
    assert!(!said.contains(SECRET) && !said.contains("retries"), "{said}");
    refused(&mut see("AKIANOBODY", secret), 65, &["403"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "no refusal is asked for again");
    done(&mut see(id, secret));
}

pub fn secrets_stand_nowhere() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket_of_a_night("secrets", "night");
    let mut command = server.chehra(&place);
    command.env("AWS_SESSION_TOKEN", "HIDDENtokenHIDDEN").env("RUST_LOG", "trace");
    command.args(["-vv", "audit", "s3://secrets/night", "--out", "s3://secrets/out"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let hidden = |text: &str| assert!(!text.contains("HIDDEN"), "a secret in {text}");
    hidden(&stdout);
    hidden(&stderr);
    for name in ["run.json", "_SUCCESS", "report.html"] {
        hidden(&String::from_utf8_lossy(&server.get(&format!("secrets/out/{name}"))));
    }
    // In an address they are refused, and not repeated.
    for (address, word) in [
        ("s3://me:HIDDENpassword@secrets/night", "a user or a password"),
        ("https://me:HIDDENpassword@127.0.0.1/x.parquet", "a user or a password"),
        ("https://127.0.0.1/x.parquet?X-Amz-Signature=HIDDEN", "with a query"),
    ] {
        let mut command = server.chehra(&place);
        hidden(&refused(command.args(["-vv", "audit", address, "--out"]).arg(place.path("no")), 64, &[word]));
        let list = place.path("list.txt");
        fs::write(&list, address).unwrap();
        let mut command = server.chehra(&place);
        let command = command.args(["-vv", "audit", "--files"]).arg(&list).arg("--out").arg(place.path("no"));
        hidden(&refused(command, 64, &[word]));
    }
    // Where no address can be taken that is said, with the reason.
    let mut command = server.chehra(&place);
    let command =
        command.args(["audit", "s3://secrets/night", "--store", "s3://secrets/store", "--out"]).arg(place.path("no"));
    refused(command, 64, &["--store", "atomic rename"]);
    let mut command = server.chehra(&place);
    refused(command.args(["review", "s3://secrets/out"]), 64, &["s3://secrets/out", "copy it to this machine"]);
}
