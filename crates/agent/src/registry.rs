//! Who this server is at registries. Passwords are sealed in the store, opened for one pull, and handed to the engine alone.

use crate::core::Core;
use crate::error::{LoginError, RequestError};
use crate::seal::Seal;
use landfall_model::image::{Login, MAX_PASSWORD, Password};
use landfall_model::name::RegistryHost;

/// Longest name of an account, bytes.
const MAX_USER: usize = 400;

/// Tries a login at its registry, and keeps it when the registry takes it.
pub(crate) async fn log_in(core: &Core, host: &RegistryHost, login: &Login, who: &str) -> Result<(), RequestError> {
    let bad = |what: &str| RequestError::Bad(format!("{what} is empty, too long or has control characters"));
    if login.user.is_empty() || login.user.len() > MAX_USER || login.user.chars().any(char::is_control) {
        return Err(bad("the user"));
    }
    let password = login.password.reveal();
    if password.is_empty() || password.len() > MAX_PASSWORD || password.chars().any(char::is_control) {
        return Err(bad("the password"));
    }
    core.images()?.try_login(host, login).await?;
    let sealed = Seal::open(&core.secret_key).and_then(|seal| seal.seal(&context(host, &login.user), password.as_bytes()));
    core.store.put_registry(host, &login.user, &sealed.map_err(LoginError::Seal)?, who)?;
    Ok(())
}

/// The login of a registry, if the server has one.
pub(crate) fn login(core: &Core, host: &RegistryHost) -> Result<Option<Login>, LoginError> {
    let Some((user, sealed)) = core.store.registry(host)? else { return Ok(None) };
    let opened = Seal::open(&core.secret_key)?.unseal(&context(host, &user), &sealed)?;
    Ok(opened.expose_text().map(|text| Login { password: Password::new(text), user }))
}

/// What a sealed password is bound to: one account at one registry.
fn context<'a>(host: &'a RegistryHost, user: &'a str) -> [&'a str; 3] {
    ["registry", host.as_str(), user]
}
