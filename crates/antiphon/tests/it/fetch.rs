use std::io::{BufRead, BufReader};
use std::process::Stdio;

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::Value;

use crate::program::Lab;

#[test]
fn files_go_into_the_folder_and_their_paths_to_stdout() {
    let lab = Lab::new();
    let server = Server::start([Reply::new(200, "text/plain", "hello")]);
    let urls = format!("{} {}", server.url("/a/one.txt?key=topsecret"), server.url("/b/one.txt"));
    let ran = lab.run(&format!("fetch {urls} --out got --max-concurrency 1"));
    ran.ends_with(0, &["/…/one.txt: 5 bytes"]);
    assert_eq!(ran.stdout, "got/one.txt\ngot/one-2.txt\n");
    assert_eq!(std::fs::read_to_string(lab.path("got/one-2.txt")).unwrap(), "hello");
    assert!(!ran.stderr.contains("topsecret"), "{}", ran.stderr);
    let ran = lab.run(&format!("fetch {urls} --out got --json"));
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&document["schema"], &document["files"][1]["bytes"]),
        (&"antiphon.fetch/1".into(), &5.into())
    );
    assert!(!ran.stdout.contains("topsecret"));
}

#[test]
fn without_a_folder_files_are_printed_in_order() {
    let lab = Lab::new();
    let (one, other) = (
        Server::start([Reply::new(503, "text/plain", "busy"), Reply::new(200, "text/plain", "one\n")]),
        Server::start([Reply::new(200, "text/plain", "other\n")]),
    );
    let ran = lab.run(&format!("fetch {} {}", one.url("/"), other.url("/")));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "one\nother\n"));
    assert_eq!(one.requests().len(), 2, "a busy server is asked again");
    lab.run(&format!("fetch {} --json", other.url("/"))).ends_with(2, &["--out <DIR>"]);
}

#[test]
fn one_failure_ends_no_other_and_is_reported_with_its_host() {
    let lab = Lab::new().with("ANTIPHON_RETRY_MAX", "0");
    let good = Server::start([Reply::new(200, "text/plain", "good")]);
    let missing = Server::start([Reply::new(404, "text/plain", "no such thing")]);
    let urls = format!(
        "{} {} {}",
        missing.url("/x?key=topsecret"),
        good.url("/y"),
        refusing_url("/z?key=topsecret")
    );
    let ran = lab.run(&format!("fetch {urls} --out got"));
    ran.ends_with(4, &["status 404 (Not Found)", "no connection", "2 of 3 files not fetched"]);
    assert_eq!(ran.stdout, "got/y\n");
    assert!(!ran.stderr.contains("topsecret"), "{}", ran.stderr);
    lab.run(&format!("fetch {}", missing.url("/x"))).ends_with(5, &["status 404"]);
    lab.run("fetch example.org/x").ends_with(2, &["it does not begin with http:// or https://"]);
    lab.run("fetch localhost:8000/x").ends_with(2, &["it does not begin with http:// or https://"]);
    lab.file("afile", "");
    lab.run("fetch http://127.0.0.1:1/x --out afile").ends_with(2, &["afile"]);
    let lab = Lab::new().with("SSL_CERT_FILE", "/nonexistent").with("SSL_CERT_DIR", "/nonexistent");
    lab.run("fetch https://127.0.0.1:1/x")
        .ends_with(5, &["Install ca-certificates, or add a root certificate"]);
    lab.run("fetch").ends_with(2, &["<URL>"]);
}

#[test]
fn a_partial_file_is_resumed_by_the_same_command() {
    let lab = Lab::new().with("ANTIPHON_RETRY_MAX", "0");
    let half = Reply::raw("HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 10\r\n\r\nhalf ");
    let rest = Reply::with_headers(206, "etag: \"1\"\r\ncontent-range: bytes 5-9/10\r\n", "whole");
    let server = Server::start([half, rest]);
    let line = format!("fetch {} --out got", server.url("/file"));
    lab.run(&line)
        .ends_with(5, &["the connection broke", "Run the same command again to fetch what is missing"]);
    lab.run(&line).ends_with(0, &["10 bytes, resumed at byte 5"]);
    assert_eq!(std::fs::read_to_string(lab.path("got/file")).unwrap(), "half whole");
    assert!(server.requests()[1].headers.iter().any(|line| line.eq_ignore_ascii_case("range: bytes=5-")));
}

#[test]
fn a_simulated_vendor_answers_generate_and_ends_on_ctrl_c() {
    let lab = Lab::new();
    let mut simulate =
        lab.command("simulate --port 0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(simulate.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let ran = lab.run(&format!("generate in --provider compatible --base-url {} --count 1", url.trim()));
    // The answer is valid by the schema, and nonsense: none of its quotes is verified.
    ran.ends_with(0, &["model sim-1"]);
    assert!(ran.stdout.contains("0 quotes") && ran.stdout.contains("not verified"), "{}", ran.stdout);
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &simulate.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let ended = simulate.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.contains("1 request, 1 answered, 0 throttled"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    lab.run(&format!("simulate --port {port}")).ends_with(3, &["cannot listen on port", "--port 0"]);
    lab.run("simulate --errors 0.6 --resets 0.6").ends_with(2, &["add up to more than 1"]);
    lab.run("simulate --errors 2").ends_with(2, &["a number from 0 to 1"]);
}
