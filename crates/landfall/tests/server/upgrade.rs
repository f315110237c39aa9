//! `landfall server upgrade` under 500 requests a second, without systemd: to a binary that works, and to ones that do not. No request fails.

use crate::machine::{Init, Machine, text};
use crate::stage::{Stage, prepared};

#[test]
fn a_server_is_upgraded_under_load_and_broken_binaries_change_nothing() {
    let stage = Stage::set(prepared(Init::Sshd));
    let (first, proxy) = (stage.generation(), stage.proxy());

    let unchanged = stage.upgrade(Machine::binary());
    assert!(unchanged.status.success() && text(&unchanged).contains("nothing to change"), "{}", text(&unchanged));
    stage.refuses("exits at once", &stage.script("ends", "*", "exit 1"), "does not run on the server");
    stage.refuses("its proxy exits", &stage.script("proxy-ends", "*\"-- proxy\"*", "exit 1"), "the new proxy did not come up");
    assert_eq!((stage.generation(), stage.proxy()), (first, proxy), "the old proxy never stopped");

    // As a migration leaves it that was done before the agent died: a copy of the store beside it, and a store that only the newer one knows (bytes 60 to 63 of
    // an SQLite file are its user_version).
    let migrates = "cd /var/lib/landfall; [ -e store.db.before-upgrade ] || { cp store.db store.db.before-upgrade; \
         printf '\\000\\000\\003\\347' | dd of=store.db bs=1 seek=60 conv=notrunc; }; exit 1";
    stage.refuses(
        "its store's migration fails",
        &stage.script("agent-migrates", "*\"-- agent\"*", migrates),
        "the new agent did not come up",
    );
    stage.takes(&stage.newer());
    stage.end();
}
