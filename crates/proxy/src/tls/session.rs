//! One connection's TLS, without its socket: bytes that arrived go in, bytes to send come out. rustls' unbuffered interface says what is next.
//!
//! rustls' other interface keeps a buffer for what arrives and queues a fresh piece of memory for every record; here both belong to the worker.
//! What a connection keeps for itself is what is not whole or was not taken: of a record or a message of the handshake, of decrypted bytes, and of
//! encrypted ones. Each is bounded, and gone when it is empty.

use super::buffers::{Output, PARTIAL, RECORD};
use super::gather::Gather;
use super::queue::Queue;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus, WriteTraffic};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;
use tokio::io::ReadBuf;

/// For our last word, and a key that goes ahead of it.
const LAST: usize = 1024;

/// The state of one connection.
pub(super) struct Session {
    tls: UnbufferedServerConnection,
    /// What has arrived and is not whole. rustls may have begun with it, so it stays as it is.
    partial: Vec<u8>,
    decrypted: Queue,
    unsent: Queue,
    /// Nothing is right any more.
    failure: Option<rustls::Error>,
    /// The client said that it sends no more.
    ended: bool,
    /// We did.
    closed: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self {
            tls,
            partial: Vec::new(),
            decrypted: Queue::default(),
            unsent: Queue::default(),
            failure: None,
            ended: false,
            closed: false,
        })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// What is unsent when the handshake is over are tickets, which nobody waits for. (Before TLS 1.3 it is the handshake's end.)
    pub(super) fn has_only_tickets(&self) -> bool {
        self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    pub(super) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    pub(super) fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.tls.handshake_kind()
    }

    /// The client said that it sends no more.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// The failure after which nothing is read or written.
    pub(super) fn check(&self) -> io::Result<()> {
        self.failure.clone().map_or(Ok(()), |failure| Err(invalid(failure)))
    }

    /// What must stand before new bytes in the input of [`Self::take_in`].
    pub(super) fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// What is encrypted and not sent.
    pub(super) fn unsent(&mut self) -> &mut Queue {
        &mut self.unsent
    }

    /// Bytes of memory that it keeps.
    #[cfg(any(fuzzing, test))]
    pub(super) fn kept(&self) -> usize {
        self.partial.capacity() + self.decrypted.capacity() + self.unsent.capacity()
    }

    /// Gives decrypted bytes that had no room before; false if there are none.
    pub(super) fn give(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let rest = self.decrypted.rest();
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        self.decrypted.advance(count);
        count > 0
    }

    /// Takes in what arrived, after what was left of the last time. Decrypted bytes go to `into`, and are kept if there is no room for them.
    pub(super) fn take_in(&mut self, input: &mut [u8], into: &mut ReadBuf<'_>) -> io::Result<()> {
        let (used, _) = self.advance(input, into, |_, _| Ok(()))?;
        let rest = input.get(used..).unwrap_or_default();
        if rest.is_empty() || self.ended {
            self.partial = Vec::new();
        } else if rest.len() > PARTIAL {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of the handshake is too long"));
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Encrypts as much of `parts` as `output` has room for, behind what is unsent, which must fit. Says how much that was, and how much of
    /// `output` it became.
    pub(super) fn seal(&mut self, parts: &[IoSlice<'_>], output: &mut Output) -> io::Result<(usize, usize)> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sealed = self.settle(|traffic, unsent| {
            let ahead = unsent.rest();
            let mut filled = ahead.len().min(output.sealed.len());
            output.sealed[..filled].copy_from_slice(&ahead[..filled]);
            unsent.advance(filled);
            let mut gather = Gather::new(parts);
            while output.sealed.len() - filled >= RECORD {
                let Some(content) = gather.next(&mut output.gathered) else { break };
                filled += traffic.encrypt(content, &mut output.sealed[filled..]).map_err(io::Error::other)?;
            }
            Ok((gather.total, filled))
        })?;
        sealed.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Says that we send no more; once.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if mem::replace(&mut self.closed, true) || self.failure.is_some() {
            return Ok(());
        }
        self.settle(|traffic, unsent| unsent.push_with(LAST, |space| traffic.queue_close_notify(space)).map_err(io::Error::other))?;
        Ok(())
    }

    /// As [`Self::advance`], with nothing new.
    fn settle<R>(
        &mut self,
        ready: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut Queue) -> io::Result<R>,
    ) -> io::Result<Option<R>> {
        let mut partial = mem::take(&mut self.partial);
        let result = self.advance(&mut partial, &mut ReadBuf::new(&mut []), ready);
        if let Ok((used, _)) = &result {
            partial.drain(..(*used).min(partial.len()));
        }
        self.partial = partial;
        Ok(result?.1)
    }

    /// Goes through rustls' states until it has done all it can with `input`; if it can encrypt then, `ready` may. Says how much of `input` is done with.
    fn advance<R>(
        &mut self,
        input: &mut [u8],
        into: &mut ReadBuf<'_>,
        ready: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut Queue) -> io::Result<R>,
    ) -> io::Result<(usize, Option<R>)> {
        self.check()?;
        let mut ready = Some(ready);
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(input.get_mut(used..).unwrap_or_default());
            let done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        let (now, later) = record.payload.split_at(record.payload.len().min(into.remaining()));
                        into.put_slice(now);
                        self.decrypted.push(later);
                    }
                    None
                }
                Ok(ConnectionState::EncodeTlsData(message)) => {
                    encode(message, &mut self.unsent)?;
                    None
                }
                // What is unsent goes ahead of everything else, so it is as good as sent.
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    None
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => match ready.take() {
                    Some(ready) => Some(Some(ready(&mut traffic, &mut self.unsent)?)),
                    None => Some(None),
                },
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => Some(None),
                Ok(other) => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("not expected in TLS: {other:?}"))),
                Err(error) => {
                    used += discard;
                    self.fail(error.clone(), input.get_mut(used..).unwrap_or_default());
                    return Err(invalid(error));
                }
            };
            used += discard;
            if let Some(result) = done {
                return Ok((used, result));
            }
        }
    }

    /// What rustls wants to tell the client about `error` is to be sent. It is asked for no more than that: it would read on where it failed.
    fn fail(&mut self, error: rustls::Error, input: &mut [u8]) {
        while self.tls.wants_write() {
            match self.tls.process_tls_records(input).state {
                Ok(ConnectionState::EncodeTlsData(message)) => {
                    if encode(message, &mut self.unsent).is_err() {
                        break;
                    }
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                _ => break,
            }
        }
        self.failure = Some(error);
        self.partial = Vec::new();
    }
}

fn encode(mut message: EncodeTlsData<'_, ServerConnectionData>, unsent: &mut Queue) -> io::Result<()> {
    match message.encode(&mut []) {
        Err(EncodeError::InsufficientSize(needed)) => {
            unsent.push_with(needed.required_size, |space| message.encode(space)).map_err(io::Error::other)
        }
        // An empty one, which there is nothing of to send.
        Ok(_) | Err(EncodeError::AlreadyEncoded) => Ok(()),
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
