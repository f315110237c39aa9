//! Whether an app's containers reach the name server of their networks. A firewall that drops what arrives at the host (`INPUT` policy DROP) cuts them off,
//! and nothing else shows it: requests from outside pass, while no service finds another.

use crate::core::Core;
use futures_util::future::join_all;
use landfall_model::name::AppName;
use landfall_model::observed::Observed;
use landfall_model::spec::RuntimeKind;
use landfall_model::survey::CutOff;
use std::net::SocketAddr;

/// Where names are asked for.
const NAMES: u16 = 53;

/// Networks of the app whose containers get no answer. What cannot be found out is not in it, nor anything while the proxy, which answers, is away.
pub(crate) async fn cut_off(core: &Core, (app, runtime): (&AppName, RuntimeKind), observed: &Observed) -> Vec<CutOff> {
    if runtime != RuntimeKind::Docker || core.table.proxy().status().await.is_err() {
        return Vec::new();
    }
    let runtime = core.runtimes.get(runtime);
    let ask = observed.networks.iter().filter_map(|(key, network)| {
        let gateway = network.gateway.filter(|gateway| gateway.is_ipv4())?;
        let inside = observed.replicas.iter().find(|(_, r)| r.state.is_running() && r.addresses.contains_key(key));
        let (id, replica) = inside?;
        let cut = CutOff { app: app.clone(), gateway, interface: network.interface.clone() };
        Some(async move {
            let answered = runtime.is_answered(app, id, (SocketAddr::new(gateway, NAMES), replica.service.as_str())).await;
            (answered == Some(false)).then_some(cut)
        })
    });
    join_all(ask).await.into_iter().flatten().collect()
}
