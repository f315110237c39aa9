//! `exec` and `run`: a command inside a replica, its streams carried as frames after a 101.

use super::audit::Note;
use super::frames::read_frames;
use super::named;
use crate::core::Core;
use crate::error::RequestError;
use crate::grant::Around;
use crate::rollout;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use landfall_model::api::{ExecFrame, ExecRequest, Failure};
use landfall_model::name::{AppName, ReplicaId};
use landfall_model::spec::Spec;
use landfall_runtime::{Runtime, RuntimeError, Session};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Largest request: an argument vector.
const MAX_REQUEST: usize = 256 * 1024;

/// How long the last lines of an ended job may take to come.
const LAST_LINES: std::time::Duration = std::time::Duration::from_millis(700);

/// What runs the command, once the connection is upgraded.
enum Job {
    In { runtime: Arc<dyn Runtime>, app: AppName, replica: ReplicaId },
    New { core: Arc<Core>, spec: Box<Spec>, app: AppName },
}

pub(super) async fn exec(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Path(app): Path<String>,
    request: Request,
) -> Result<Response, RequestError> {
    let app: AppName = named(&app)?;
    let (upgrade, ask) = parts(request).await?;
    note.write(words("exec", &ask), None);
    let row = core.store.app(&app)?.ok_or_else(|| RequestError::NoApp(app.clone()))?;
    if let Some(spec) = core.current_spec(&row)? {
        core.guard.check_service(&spec, &ask.service, &Around::look::<RequestError>(&core, &spec).await?)?;
    }
    let mut serving = row.serving.names.get(&ask.service).into_iter().flatten();
    let replica = match ask.replica.clone() {
        Some(replica) => replica,
        None => serving.next().cloned().ok_or_else(|| RequestError::NoReplica(ask.service.clone()))?,
    };
    let runtime = Arc::clone(core.runtimes.get(row.runtime));
    tokio::spawn(carry(upgrade, ask, Job::In { runtime, app, replica }));
    Ok(switching())
}

pub(super) async fn run(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Path(app): Path<String>,
    request: Request,
) -> Result<Response, RequestError> {
    let app: AppName = named(&app)?;
    let (upgrade, ask) = parts(request).await?;
    note.write(words("run", &ask), None);
    let row = core.store.app(&app)?.ok_or_else(|| RequestError::NoApp(app.clone()))?;
    let spec = core.current_spec(&row)?.ok_or_else(|| RequestError::NoApp(app.clone()))?;
    if !spec.services.contains_key(&ask.service) {
        return Err(RequestError::NoService { app, service: ask.service });
    }
    tokio::spawn(carry(upgrade, ask, Job::New { core, spec: Box::new(spec), app }));
    Ok(switching())
}

/// The program, and not what it is told.
fn words(verb: &str, ask: &ExecRequest) -> String {
    format!("{verb} {} in {}", ask.argv.first().map_or("", String::as_str), ask.service)
}

async fn parts(mut request: Request) -> Result<(hyper::upgrade::OnUpgrade, ExecRequest), RequestError> {
    let upgrade = hyper::upgrade::on(&mut request);
    let bad = |e: String| RequestError::Bad(format!("the request cannot be read: {e}"));
    let body = http_body_util::Limited::new(request.into_body(), MAX_REQUEST).collect().await.map_err(|e| bad(e.to_string()))?.to_bytes();
    let ask: ExecRequest = serde_json::from_slice(&body).map_err(|e| bad(e.to_string()))?;
    if ask.argv.is_empty() {
        return Err(RequestError::Bad("there is nothing to run".into()));
    }
    Ok((upgrade, ask))
}

fn switching() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", axum::http::HeaderValue::from_static("upgrade"));
    response.headers_mut().insert("upgrade", axum::http::HeaderValue::from_static("landfall-exec"));
    response
}

async fn carry(upgrade: hyper::upgrade::OnUpgrade, ask: ExecRequest, job: Job) {
    let Ok(upgraded) = upgrade.await else { return };
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    let (out, frames) = mpsc::channel::<(ExecFrame, Vec<u8>)>(16);
    let writing = tokio::spawn(write_frames(writer, frames));
    let ended = match &job {
        Job::In { runtime, app, replica } => match runtime.exec(app, replica, &ask.argv, ask.tty).await {
            Ok(session) => in_replica(session, reader, &out).await,
            Err(e) => Err(failure(&e)),
        },
        Job::New { core, spec, app } => in_new(core, spec, app, (&ask, reader), &out).await,
    };
    let last = match ended {
        Ok(code) => (ExecFrame::Exit, code.to_be_bytes().to_vec()),
        Err(failure) => (ExecFrame::Failed, serde_json::to_vec(&*failure).unwrap_or_default()),
    };
    let _ = out.send(last).await;
    drop(out);
    let _ = writing.await;
}

async fn write_frames(mut writer: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<(ExecFrame, Vec<u8>)>) {
    while let Some((kind, bytes)) = frames.recv().await {
        let mut frame = vec![kind as u8];
        frame.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend(bytes);
        if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}

async fn in_replica(
    session: Session,
    reader: impl AsyncRead + Unpin + Send + 'static,
    out: &mpsc::Sender<(ExecFrame, Vec<u8>)>,
) -> Result<i32, Box<Failure>> {
    let Session { stdin, stdout, stderr, control } = session;
    let (resize, mut sizes) = mpsc::channel(4);
    let reading = tokio::spawn(read_frames(reader, stdin, resize));
    let copies = async { tokio::join!(copy(stdout, ExecFrame::Stdout, out), copy(stderr, ExecFrame::Stderr, out)) };
    // Nothing comes from the client any more, and the end of standard input is a frame of its own: it is gone, and what it started ends with it. A
    // command that writes nothing would otherwise never find out.
    let gone = async {
        while let Some((columns, rows)) = sizes.recv().await {
            let _ = control.resize(columns, rows).await;
        }
    };
    let gone = tokio::select! {
        _ = copies => false,
        () = gone => true,
    };
    reading.abort();
    if gone {
        control.kill().await;
        return Ok(130);
    }
    control.wait().await.map(|e| e.code).map_err(|e| failure(&e))
}

async fn copy(mut from: Box<dyn AsyncRead + Send + Unpin>, kind: ExecFrame, out: &mpsc::Sender<(ExecFrame, Vec<u8>)>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if out.send((kind, buffer[..read].to_vec())).await.is_err() {
            return;
        }
    }
}

/// A replica of its own, outside of every release, removed when it has ended. It has no standard input: it is a job.
async fn in_new(
    core: &Arc<Core>,
    spec: &Spec,
    app: &AppName,
    (ask, reader): (&ExecRequest, impl AsyncRead + Unpin),
    out: &mpsc::Sender<(ExecFrame, Vec<u8>)>,
) -> Result<i32, Box<Failure>> {
    let launch = rollout::one_off(core, spec, ask).await.map_err(|e| Box::new(e.failure()))?;
    let runtime = Arc::clone(core.runtimes.get(spec.runtime));
    let id = launch.id.clone();
    if let Err(e) = runtime.start(&launch).await {
        // It may have been made before it failed.
        let _ = runtime.remove(app, &id).await;
        return Err(failure(&e));
    }
    let mut followed = std::pin::pin!(follow(runtime.as_ref(), app, &id, out));
    let mut told_all = false;
    let waiting = runtime.wait(app, &id);
    let mut waiting = std::pin::pin!(waiting);
    let mut gone = std::pin::pin!(gone(reader));
    let code = loop {
        tokio::select! {
            exit = &mut waiting => break exit.map(|e| e.code),
            () = out.closed() => break Ok(130),
            () = &mut gone => break Ok(130),
            () = &mut followed, if !told_all => told_all = true,
        }
    };
    if !told_all {
        // What it wrote last is still on its way through the runtime's log.
        let _ = tokio::time::timeout(LAST_LINES, followed).await;
    }
    runtime.remove(app, &id).await.map_err(|e| failure(&e))?;
    code.map_err(|e| failure(&e))
}

/// Ends when the client has: what it sends meanwhile has no reader.
async fn gone(mut reader: impl AsyncRead + Unpin) {
    let mut unread = [0; 1024];
    while let Ok(1..) = reader.read(&mut unread).await {}
}

async fn follow(runtime: &dyn Runtime, app: &AppName, id: &ReplicaId, out: &mpsc::Sender<(ExecFrame, Vec<u8>)>) {
    let Ok(mut entries) = runtime.logs(app, id, 10_000, true).await else { return };
    while let Some(Ok(entry)) = futures_util::StreamExt::next(&mut entries).await {
        let kind = if entry.stderr { ExecFrame::Stderr } else { ExecFrame::Stdout };
        if out.send((kind, format!("{}\n", entry.line).into_bytes())).await.is_err() {
            return;
        }
    }
}

fn failure(error: &RuntimeError) -> Box<Failure> {
    let causes = std::error::Error::source(error).map(|s| s.to_string()).into_iter().collect();
    Box::new(Failure { code: error.code().to_owned(), message: error.to_string(), causes, hints: error.hints(), log: Vec::new() })
}
