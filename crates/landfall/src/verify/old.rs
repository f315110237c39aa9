//! Versions of TLS below 1.2 are refused (RFC 8996).
//!
//! No library we would use still speaks them, so this is one message of its own, TLS 1.1's ClientHello (RFC 4346 §7.4.1.2), and a look at the first bytes
//! of what comes back: an answer to the handshake, or an alert, or the end.

use super::Finding;
use super::target::Host;
use super::wire::{Dialer, WireError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;

/// Offers TLS 1.1 and nothing newer.
pub async fn refused(dialer: &Dialer, host: &Host) -> Finding {
    let at = host.url(true, "");
    let answer = dialer
        .within(async {
            let mut stream = dialer.connect(&host.name, host.reach.https, true).await?;
            let mut head = [0; 6];
            // Whatever ends the connection is a refusal.
            let read = match stream.write_all(&hello(&host.name)).await {
                Ok(()) => stream.read_exact(&mut head).await.is_ok(),
                Err(_) => false,
            };
            Ok::<_, WireError>(read && head[0] == HANDSHAKE && head[5] == SERVER_HELLO)
        })
        .await;
    match answer {
        Ok(false) => Finding::good("old-tls", at, "TLS 1.1 is refused"),
        Ok(true) => Finding::failed("old-tls", at, "TLS 1.1 is accepted", "Landfall accepts 1.2 and 1.3 only: what stands before it?"),
        // One that says nothing at all does not accept it.
        Err(WireError::Late(_)) => Finding::good("old-tls", at, "TLS 1.1 is not answered"),
        Err(e) => Finding::failed("old-tls", at, e.to_string(), "`landfall status`"),
    }
}

fn hello(name: &str) -> Vec<u8> {
    let sized = |body: &[u8]| [&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes()[..], body].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &sized(body)].concat();
    let server_name = extension(0, &sized(&[&[0][..], &sized(name.as_bytes())].concat()));
    // secp256r1 and secp384r1, uncompressed points.
    let groups = extension(10, &sized(&[0, 23, 0, 24]));
    let points = extension(11, &[1, 0]);
    // ECDHE with RSA and ECDSA, plain RSA, all with AES in CBC: every suite that a server of that age has.
    let suites = sized(&[0xc0, 0x14, 0xc0, 0x13, 0xc0, 0x0a, 0xc0, 0x09, 0x00, 0x35, 0x00, 0x2f]);
    let random = [0x2a; 32];
    let body = [&[3, 2][..], &random, &[0], &suites, &[1, 0], &sized(&[server_name, groups, points].concat())].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &sized(&message)].concat()
}
