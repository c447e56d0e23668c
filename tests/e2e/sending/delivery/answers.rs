//! Words of the peers that follow a message.

use serde_json::json;

use super::{delivered, entry, send};
use crate::support::{Daemon, Peer};

#[test]
fn the_first_word_of_exactly_that_address_answers_a_message() {
    for listen in ["127.0.0.1:0", "[::]:0"] {
        let daemon = Daemon::start_with("", &["--listen", listen]);
        let port = daemon.address().port();
        let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let (mut rpc, peer, other) = (daemon.rpc(), Peer::new(), Peer::new());
        peer.send(to, "before");
        let _status = daemon.stored(1);
        let (first, second) = (send(&mut rpc, peer.address(), "one"), send(&mut rpc, peer.address(), "two"));
        let unanswered = send(&mut rpc, other.address(), "three");
        peer.send(to, "word");
        peer.send(to, "another");
        let _status = daemon.stored(3);
        let answers = rpc.entries(json!({ "after": unanswered }));
        assert_eq!(answers[0]["text"], "word");
        for id in [first, second] {
            assert_eq!(delivered(&mut rpc, id, "answered")["answer"], answers[0]["id"]);
        }
        assert_eq!(entry(&mut rpc, unanswered)["delivery"], "sent", "its host spoke, but not from its port");
    }
}

#[test]
fn an_answer_stays_after_a_restart_and_a_recoding() {
    let daemon = Daemon::start();
    let (mut rpc, peer) = (daemon.rpc(), Peer::new());
    let id = send(&mut rpc, peer.address(), "one");
    daemon.receive_from(&peer, ["word"]);
    let answered = delivered(&mut rpc, id, "answered");
    rpc.call("recode", json!({ "as": "gbk", "direction": "out" }));
    let daemon = daemon.start_again();
    let recoded = entry(&mut daemon.rpc(), id);
    assert_eq!((&recoded["answer"], &recoded["delivery"]), (&answered["answer"], &answered["delivery"]));
}
