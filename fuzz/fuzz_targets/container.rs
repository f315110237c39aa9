//! What an image says of its users: the first line is `user[:group]`, up to an empty line follows `/etc/passwd`, then `/etc/group`; all of it is an archive too. A
//! number is found only where one stands.

#![no_main]

#[path = "../../crates/runtime/src/docker/passwd.rs"]
mod passwd;

use passwd::{first_text, numbers};

landfall_fuzz::fuzz!(|data: &[u8]| {
    let text = first_text(data);
    assert!(text.len() <= data.len() && text.len() <= 1024 * 1024);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((who, files)) = text.split_once('\n') else { return };
    let (users, groups) = files.split_once("\n\n").unwrap_or((files, ""));
    let (user, group) = who.split_once(':').map_or((who, None), |(user, group)| (user, Some(group)));
    let Some((uid, gid)) = numbers((user, group), users, groups) else { return };
    let stands = |number: u32, said: &str, file: &str| {
        let fields = file.lines().flat_map(|line| line.split(':')).filter_map(|field| field.parse::<u32>().ok());
        number == 0 || said.parse() == Ok(number) || fields.into_iter().any(|field| field == number)
    };
    assert!(stands(uid, user, users), "{uid} is nobody's number");
    assert!(stands(gid, group.unwrap_or_default(), if group.is_some() { groups } else { users }), "{gid} is nobody's number");
    if uid == 0 && !user.is_empty() && user.parse::<u32>().is_err() {
        // Root only by a line of that name.
        assert!(users.lines().any(|line| line.split(':').next() == Some(user)), "root for nothing");
    }
});
