//! Documents from addresses: what an answer says of itself is checked before its body is read.

use antiphon_tests::{Reply, Server};

use crate::program::Lab;

#[test]
fn size_and_type_of_an_answer_are_checked_before_its_body() {
    // None of these bodies ever ends.
    for (head, expected) in [
        ("content-type: text/plain\r\ncontent-length: 40000000\r\n", "larger than 33554432 bytes"),
        ("content-type: image/png\r\ncontent-length: 100\r\n", "image/png is not a type of document"),
        ("content-type: application/pdf\r\n", "application/pdf is not a type of document"),
        ("content-type: video/mp4\r\n", "video/mp4 is not a type of document"),
    ] {
        let server = Server::start([Reply::raw(&format!("HTTP/1.1 200 OK\r\n{head}\r\n"))]);
        let ran = Lab::new().run(&format!("generate {} -n 1 --allow-local", server.url("/talk")));
        ran.ends_with(5, &["cannot fetch", expected]);
    }
}

#[test]
fn an_address_of_this_machine_is_refused_in_any_notation() {
    let lab = Lab::new();
    for address in [
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "a.localhost.",
        "x@127.0.0.1",
    ] {
        lab.run(&format!("generate https://{address}/talk.txt -n 1"))
            .ends_with(2, &["to this machine or to a private network", "--allow-local"]);
    }
}
