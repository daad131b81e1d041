//! From a plan to a server that is bound.

use ajayserver::tls::Versions;
use ajayserver::{Builder, Error, ListenAddr, Server, Tls};

use crate::plan::{ListenerPlan, Plan, TlsPlan};

/// Binds all listeners, in the order of the plan: the number of a listener is its place there.
pub(crate) fn bind(plan: &Plan) -> Result<Server, Error> {
    let server = &plan.server;
    let mut builder = Builder::new()
        .pin_workers(server.pin_workers)
        .send_date(!server.no_date);
    if let Some(processes) = server.processes {
        builder = builder.processes(processes.map(usize::from));
    }
    if let Some(threads) = server.threads {
        builder = builder.threads(threads.into());
    }
    if let Some(user) = &server.user {
        builder = builder.user(user);
    }
    if server.no_server_name {
        builder = builder.server_name(None);
    }
    builder = server.limits.apply(builder);
    for listener in &plan.listeners {
        builder = builder.listen(listener.address.clone())?;
        if let Some(tls) = &listener.tls {
            builder = builder.tls(tls_of(tls).versions(Versions::ALL));
        }
    }
    builder.bind()
}

/// Leaves out what nobody has named and the machine does not have.
pub(crate) fn without_ipv6(listeners: &mut Vec<ListenerPlan>) {
    listeners.retain(|listener| {
        let is_ipv6 = matches!(&listener.address, ListenAddr::Tcp(it) if it.is_ipv6());
        !(listener.is_default && is_ipv6)
    });
}

fn tls_of(plan: &TlsPlan) -> Tls {
    match plan {
        TlsPlan::SelfSigned { directory, names } => Tls::self_signed(directory, names),
        TlsPlan::Files(pairs) => {
            let mut pairs = pairs.iter();
            let first = pairs.next().map(|(cert, key)| Tls::files(cert, key));
            // A plan of files has at least the pair of the site that made it.
            let first = first.unwrap_or_else(|| Tls::files("", ""));
            pairs.fold(first, |tls, (cert, key)| tls.and_files(cert, key))
        }
    }
}
