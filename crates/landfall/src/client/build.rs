//! A build on the server: the description and the files go in one request, and while they do the answer begins.
//!
//! It is never asked twice: files that were sent half are of no use, and whoever deploys again finds in the engine's cache what was done.

use super::stream::Lines;
use super::{Client, ClientError, accept, body, request};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use landfall_model::build::{BuildNews, BuildRequest};
use std::io;

const PATH: &str = "/v1/builds";

/// A build under way.
pub struct Building {
    lines: Lines,
}

impl Client {
    /// Begins a build with a tar archive of files.
    pub async fn build(&self, asked: &BuildRequest, context: BoxStream<'static, io::Result<Bytes>>) -> Result<Building, ClientError> {
        let mut head = body(asked)?.to_vec();
        head.push(b'\n');
        let pieces = stream::once(async { Ok(Bytes::from(head)) }).chain(context).map(|piece| piece.map(Frame::data));
        let stream = self.channel.open().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::cut)?;
        // Ends with the answer.
        tokio::spawn(connection);
        let request = request(Method::POST, PATH).body(StreamBody::new(pieces)).map_err(ClientError::cut)?;
        let response = accept(sender.send_request(request).await.map_err(ClientError::cut)?, PATH).await?;
        Ok(Building { lines: Lines::of(response, PATH) })
    }
}

impl Building {
    /// What comes next. The last is an end; a connection that ends without is an error.
    pub async fn next(&mut self) -> Result<BuildNews, ClientError> {
        self.lines.next().await?.ok_or_else(|| ClientError::cut("the build's answer ended early"))
    }
}
