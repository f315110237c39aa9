//! The session alone: whatever pieces the network makes of records, the same comes out.

use super::{configs_for, name, noise};
use crate::tls::buffers::Buffers;
use crate::tls::session::Session;
use proptest::prelude::*;
use rustls::ClientConnection;
use std::io::{IoSlice, Read, Write};
use std::iter::Cycle;
use std::slice::Iter;
use std::sync::Arc;
use tokio::io::ReadBuf;

/// The network, and both ends of it.
struct Wire<'a> {
    client: ClientConnection,
    server: Session,
    /// How long its pieces are.
    pieces: Cycle<Iter<'a, usize>>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    arrived_up: Vec<u8>,
    arrived_down: Vec<u8>,
}

impl Wire<'_> {
    /// Carries one piece each way; false if there was nothing.
    fn step(&mut self) -> bool {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.to_server).unwrap();
        }
        let piece = *self.pieces.next().unwrap();
        let up: Vec<u8> = self.to_server.drain(..piece.min(self.to_server.len())).collect();
        if !up.is_empty() {
            let mut input = [self.server.partial(), &up].concat();
            // Room for half of it: the rest is kept.
            let mut space = vec![0; up.len() / 2];
            let mut into = ReadBuf::new(&mut space);
            self.server.take_in(&mut input, &mut into).unwrap();
            self.arrived_up.extend_from_slice(into.filled());
            loop {
                let mut space = [0; 5000];
                let mut into = ReadBuf::new(&mut space);
                if !self.server.give(&mut into) {
                    break;
                }
                self.arrived_up.extend_from_slice(into.filled());
            }
        }
        let unsent = self.server.unsent();
        self.to_client.extend_from_slice(unsent.rest());
        unsent.advance(unsent.rest().len());
        let down: Vec<u8> = self.to_client.drain(..piece.min(self.to_client.len())).collect();
        let mut rest = &down[..];
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
            let mut space = [0; 20_000];
            while let Ok(count @ 1..) = self.client.reader().read(&mut space) {
                self.arrived_down.extend_from_slice(&space[..count]);
            }
        }
        !up.is_empty() || !down.is_empty()
    }

    fn settle(&mut self) {
        while self.step() || !self.to_server.is_empty() || !self.to_client.is_empty() {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cuts_do_not_matter(
        pieces in prop::collection::vec(prop_oneof![1usize..10, 1usize..2000, 10_000usize..20_000], 1..6),
        up in 0usize..40_000,
        down in 0usize..100_000,
        new: bool,
        update: bool,
    ) {
        let configs = configs_for(&[if new { &rustls::version::TLS13 } else { &rustls::version::TLS12 }]);
        let mut wire = Wire {
            client: ClientConnection::new(Arc::clone(&configs.client), name()).unwrap(),
            server: Session::new(Arc::clone(&configs.server.config)).unwrap(),
            pieces: pieces.iter().cycle(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            arrived_up: Vec::new(),
            arrived_down: Vec::new(),
        };
        wire.settle();
        prop_assert!(!wire.server.is_handshaking() && !wire.client.is_handshaking());
        let (up, down) = (noise(up), noise(down));
        let mut sent_up = 0;
        let mut sent_down = 0;
        let buffers = Buffers::new();
        while sent_up < up.len() || sent_down < down.len() {
            if new && update {
                wire.client.refresh_traffic_keys().unwrap();
            }
            sent_up += wire.client.writer().write(&up[sent_up..up.len().min(sent_up + 20_000)]).unwrap();
            // Only a part arrives before the answer is encrypted.
            wire.step();
            let mut output = buffers.output();
            let (taken, sealed) = wire.server.seal(&[IoSlice::new(&down[sent_down..])], &mut output).unwrap();
            sent_down += taken;
            wire.to_client.extend_from_slice(&output.sealed[..sealed]);
        }
        wire.settle();
        prop_assert!(wire.arrived_up == up && wire.arrived_down == down);
        prop_assert_eq!(wire.server.kept(), 0);
    }
}
