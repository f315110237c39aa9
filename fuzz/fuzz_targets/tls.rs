//! TLS without a socket. What a client sends is either the input itself, or what rustls' own client makes of it; cut anywhere, the same comes out, and what
//! is kept is bounded.

#![no_main]

use landfall_fuzz::pieces::pieces;
use landfall_proxy::fuzzing::{MOST_KEPT, TlsEnd};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};

static CONFIGS: LazyLock<(Arc<ServerConfig>, Arc<ClientConfig>)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).expect("a server");
    (Arc::new(server), Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
});

fn end() -> TlsEnd {
    TlsEnd::new(Arc::clone(&CONFIGS.0)).expect("an end")
}

/// As it is: an error, or nothing; and never more memory than is said.
fn raw(bytes: &[u8]) {
    let (mut whole, mut cut) = (end(), end());
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    let first = whole.receive(bytes, 4096, &mut plain).is_ok();
    let mut second = true;
    for piece in pieces(bytes) {
        second = second && cut.receive(piece, 4096, &mut plain).is_ok();
    }
    assert_eq!(first, second, "where reads end makes a difference");
    for mut end in [whole, cut] {
        assert!(end.kept() <= MOST_KEPT + 64 * 1024);
        end.unsent(&mut wire);
    }
    assert!(plain.is_empty() && wire.len() < 64 * 1024, "nothing is said before the handshake");
}

/// What a client says comes out as it went in, and so does what it is answered.
fn spoken(text: &[u8]) {
    let name = ServerName::try_from("a.example").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(&CONFIGS.1), name).expect("a client");
    let mut server = end();
    let (mut heard, mut answered, mut told) = (Vec::new(), 0, Vec::new());
    let mut parts = pieces(text).into_iter();
    for _ in 0..text.len() + 20 {
        if !client.is_handshaking()
            && let Some(part) = parts.next()
        {
            client.writer().write_all(part).expect("it is written");
        }
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("it is sent");
        }
        for piece in pieces(&wire) {
            server.receive(piece, 16, &mut heard).expect("it is understood");
            assert!(server.kept() <= MOST_KEPT);
        }
        let mut back = Vec::new();
        server.unsent(&mut back);
        if !server.is_handshaking() && answered < heard.len() {
            answered += server.send(&heard[answered..], &mut back).expect("it is sealed");
        }
        let mut back = &back[..];
        while !back.is_empty() {
            client.read_tls(&mut back).expect("it is received");
            client.process_new_packets().expect("it is understood");
        }
        let mut space = [0; 4096];
        while let Ok(count @ 1..) = client.reader().read(&mut space) {
            told.extend_from_slice(&space[..count]);
        }
        if told.len() == text.len() {
            break;
        }
    }
    assert_eq!(heard, text);
    assert_eq!(told, text);
}

landfall_fuzz::fuzz!(|data: &[u8]| match data.split_first() {
    Some((b'=', text)) => spoken(text),
    _ => raw(data),
});
