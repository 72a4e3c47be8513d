//! The page about a run.

use std::fs;

use antiphon_tests::{Reply, Server};

use crate::program::Lab;

#[test]
fn a_run_has_a_page_with_its_figures_its_failures_and_its_rows() {
    let bad = || Reply::chat("<script>no</script>", "stop");
    let server = Server::start([Reply::chat("a@b", "stop"), bad(), Reply::chat("c@d", "stop")]);
    let lab = Lab::new();
    lab.file("rows.csv", "name\nBern\nUlm\nGraz\n");
    lab.file("r.toml", "prompt = \"{{ name }}\"\nattempts = 1\n[[check]]\nregex = \"@\"\n");
    let url = server.url("/v1");
    let line =
        format!("map rows.csv -r r.toml --concurrency 1 --provider compatible --base-url {url} --model m");
    lab.run(&line).ends_with(4, &[]);
    let ran = lab.run("runs report latest");
    ran.ends_with(0, &[]);
    let page = fs::read_to_string(lab.path(ran.stdout.trim())).unwrap();
    for told in [
        "rows.csv with r.toml",
        "schema_mismatch",
        "<td class=\"failed\">failed</td>",
        "Bern",
        "c@d",
        "Tokens asked",
    ] {
        assert!(page.contains(told), "{told} is not in {page}");
    }
    assert_eq!(page.matches("<script>").count(), 1, "what a model says is text");
    lab.run("runs report latest --out here/page.html").ends_with(0, &[]);
    assert_eq!(fs::read_to_string(lab.path("here/page.html")).unwrap(), page);
    lab.run("runs report nothing").ends_with(2, &["there is no run nothing"]);
}
