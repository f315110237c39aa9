//! Making, running to the end, crashing, remembering.

use super::{Kit, Shape, until};
use crate::fake::Act;
use crate::{Runtime, RuntimeError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_model::observed::ReplicaState;
use landfall_model::spec::Restart;

/// Asking twice for a network or a volume makes one, and both are observed; removing twice removes one.
pub async fn networks_and_volumes_are_made_once(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    kit.prepare(rt).await;
    let observed = kit.observe(rt).await;
    let ((network, about), (volume, of)) = (kit.network(), kit.volume());
    assert_eq!(observed.networks.keys().collect::<Vec<_>>(), [&network]);
    assert_eq!(observed.volumes.iter().collect::<Vec<_>>(), [&volume]);
    for _ in 0..2 {
        rt.remove_network(&kit.app, &network, &about).await.expect("remove a network");
        rt.remove_volume(&kit.app, &volume, &of).await.expect("remove a volume");
    }
    let observed = kit.observe(rt).await;
    assert!(observed.networks.is_empty() && observed.volumes.is_empty(), "left: {observed:?}");
}

/// Starting what runs changes nothing; what runs is observed as it was asked for.
pub async fn start_is_idempotent(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let launch = kit.launch("web-1-1", &Act::Stay, &Shape::default());
    rt.start(&launch).await.expect("start");
    let first = kit.observe(rt).await.replicas.get(&launch.id).cloned().expect("the replica");
    rt.start(&launch).await.expect("start again");
    let second = kit.observe(rt).await.replicas.get(&launch.id).cloned().expect("the replica");
    assert_eq!(first, second, "a second start changed it");
    assert_eq!(first.state, ReplicaState::Running);
    assert_eq!((&first.service, first.release, &first.revision, first.job), (&launch.service, launch.release, &launch.revision, false));
    assert!(first.started_ms > 0 && first.address().is_some(), "{first:?}");
    assert!(rt.apps().await.expect("apps").contains(&kit.app));
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// Asking about what was never made names it; stopping and removing tell apart what may and may not be absent.
pub async fn what_was_never_made_is_no_replica(rt: &dyn Runtime, kit: &Kit) {
    let id = "nobody-1-1".parse().expect("an id");
    let unknown =
        |result: Result<(), RuntimeError>| assert!(matches!(&result, Err(RuntimeError::NoReplica(of)) if *of == id), "{result:?}");
    unknown(rt.start_again(&kit.app, &id).await);
    unknown(rt.wait(&kit.app, &id).await.map(drop));
    unknown(rt.exec(&kit.app, &id, &["true".to_owned()], false).await.map(drop));
    unknown(rt.logs(&kit.app, &id, 1, false).await.map(drop));
    assert!(rt.listening(&kit.app, &id).await.is_empty());
    rt.remove(&kit.app, &id).await.expect("removing what is gone succeeds");
}

/// A job runs once however often it is asked for, and its code is known to a new agent, too.
pub async fn a_job_runs_once_and_its_end_is_remembered(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    for code in [0_u8, 3, 77] {
        // A job has no restart policy, whatever its service has.
        let shape = Shape { job: true, restart: Some(Restart::Always), ..Shape::default() };
        let launch = kit.launch(&format!("web-1-job{code}"), &Act::Answer { out: "ran\n".into(), err: String::new(), code }, &shape);
        rt.start(&launch).await.expect("start a job");
        assert_eq!(rt.wait(&kit.app, &launch.id).await.expect("wait").code, i32::from(code));
        let again = (kit.reopen)();
        again.start(&launch).await.expect("start a job that has ended");
        assert_eq!(again.wait(&kit.app, &launch.id).await.expect("wait").code, i32::from(code));
        let seen = kit.observe(again.as_ref()).await.replicas.get(&launch.id).cloned().expect("the job");
        assert_eq!((seen.state, seen.job), (ReplicaState::Exited { code: i32::from(code), out_of_memory: false }, true));
        assert_eq!(kit.lines(rt, &launch.id, 10).await, [(false, "ran".to_owned())], "it ran more than once");
        rt.remove(&kit.app, &launch.id).await.expect("remove");
    }
}

/// Nothing a user writes is interpreted on its way into a program.
pub async fn environment_and_arguments_arrive_exactly(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let hostile = ["$(id)", "`id`", "a b", "", "'\"\\", "line\nbreak", "ä\u{1F600}", "--", "*", "$HOME;true", "%s", "x=y"];
    let names = ["V0", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10", "V11"];
    let act = Act::Show {
        arguments: hostile.iter().map(|s| (*s).to_owned()).collect(),
        variables: names.iter().chain(&["BOTH", "ADDED"]).map(|s| (*s).to_owned()).collect(),
    };
    let environment = names.into_iter().zip(hostile).chain([("BOTH", "of the file")]).collect();
    let shape = Shape { environment, added: vec![("BOTH", "of the launch"), ("ADDED", "$ADDED")], ..Shape::default() };
    let (code, lines) = kit.job(rt, "web-1-show", &act, shape).await;
    let seen: Vec<String> = lines.iter().map(|l| String::from_utf8(STANDARD.decode(l).expect("Base64")).expect("UTF-8")).collect();
    let wanted: Vec<&str> = hostile.iter().chain(&hostile).copied().chain(["of the file", "$ADDED"]).collect();
    assert_eq!((code, seen), (0, wanted.into_iter().map(str::to_owned).collect()));
}

/// A program that crashes is started again and counted.
pub async fn a_crash_is_followed_by_a_restart(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let shape = Shape { restart: Some(Restart::OnFailure { max: 5 }), ..Shape::default() };
    let launch = kit.launch("web-2-1", &Act::CrashOnce, &shape);
    rt.start(&launch).await.expect("start");
    until("it runs again after one restart", async || {
        kit.observe(rt).await.replicas.get(&launch.id).is_some_and(|r| r.state == ReplicaState::Running && r.restarts == 1)
    })
    .await;
    rt.remove(&kit.app, &launch.id).await.expect("remove");
    kit.clear(rt).await;
}

/// What one replica wrote to a volume another reads, after the first is gone.
pub async fn volumes_keep_data(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let text = "kept 'as it' is $HOME";
    assert_eq!(kit.job(rt, "web-1-keep", &Act::Keep { text: text.into() }, Shape::default()).await.0, 0);
    let (code, lines) = kit.job(rt, "web-1-recall", &Act::Recall, Shape::default()).await;
    assert_eq!((code, lines), (0, vec![text.to_owned()]));
    kit.clear(rt).await;
    kit.prepare(rt).await;
    let (code, _) = kit.job(rt, "web-1-empty", &Act::Recall, Shape::default()).await;
    assert_eq!(code, 1, "data of a removed volume is still there");
}

/// A new agent sees and commands what an old one made.
pub async fn a_new_agent_sees_everything(rt: &dyn Runtime, kit: &Kit) {
    kit.prepare(rt).await;
    let launch = kit.launch("web-9-1", &Act::Polite { line: "bye".into(), code: 0 }, &Shape::default());
    rt.start(&launch).await.expect("start");
    let before = kit.observe(rt).await;
    let rt = (kit.reopen)();
    let rt = rt.as_ref();
    let after = kit.observe(rt).await;
    assert_eq!((before.replicas, before.networks, before.volumes), (after.replicas, after.networks, after.volumes));
    rt.start(&launch).await.expect("start what runs");
    rt.stop(&kit.app, &launch.id, None, std::time::Duration::from_secs(20)).await.expect("stop");
    assert_eq!(kit.state(rt, &launch.id).await, Some(ReplicaState::Exited { code: 0, out_of_memory: false }));
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}
