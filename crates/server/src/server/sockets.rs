//! Where a server listens, and the sockets that it binds there before it serves.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::AppState;
use crate::http::listener::Listener;
use crate::sources::counted::Counted;
use crate::sources::delivery::Mailboxes;
use crate::sources::lmtp;
use crate::{admin, http};

/// Where to listen; port 0 takes a free one.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub http: Vec<SocketAddr>,
    pub https: Vec<SocketAddr>,
    pub admin: SocketAddr,
    pub lmtp: Option<SocketAddr>,
    /// Metrics and health for everybody who reaches it.
    pub metrics: Option<SocketAddr>,
}

impl Addresses {
    /// Where apps reach the API from this machine, by TLS if it speaks that.
    pub(super) fn origin(&self) -> String {
        let https = self.https.first().map(|address| format!("https://{address}"));
        https.or_else(|| self.http.first().map(|address| format!("http://{address}"))).unwrap_or_default()
    }
}

/// Sockets that are bound and do not accept yet.
pub(super) struct Bound {
    http: Vec<Listener>,
    https: Vec<Listener>,
    admin: Listener,
    lmtp: Option<TcpListener>,
    metrics: Option<Listener>,
}

impl Bound {
    pub(super) async fn bind(listen: &Addresses, tls: Option<Arc<ServerConfig>>) -> anyhow::Result<Self> {
        let mut bound = Self {
            http: Vec::new(),
            https: Vec::new(),
            admin: Listener::bind(listen.admin, None).await.with_context(|| cannot(listen.admin, "--admin"))?,
            lmtp: None,
            metrics: None,
        };
        for address in &listen.http {
            let listener = Listener::bind(*address, None).await.with_context(|| cannot(*address, "--http"))?;
            bound.http.push(listener);
        }
        for address in &listen.https {
            let tls = tls.clone().context("HTTPS needs a certificate")?;
            let listener = Listener::bind(*address, Some(tls)).await.with_context(|| cannot(*address, "--https"))?;
            bound.https.push(listener);
        }
        if let Some(address) = listen.lmtp {
            bound.lmtp = Some(TcpListener::bind(address).await.with_context(|| cannot(address, "--lmtp-port"))?);
        }
        if let Some(address) = listen.metrics {
            bound.metrics = Some(Listener::bind(address, None).await.with_context(|| {
                format!(
                    "cannot listen on {address}; give another as `metrics` in section [listen] of the configuration"
                )
            })?);
        }
        Ok(bound)
    }

    pub(super) fn addresses(&self) -> anyhow::Result<Addresses> {
        let real = |listeners: &[Listener]| listeners.iter().map(Listener::address).collect::<Result<Vec<_>, _>>();
        Ok(Addresses {
            http: real(&self.http)?,
            https: real(&self.https)?,
            admin: self.admin.address()?,
            lmtp: self.lmtp.as_ref().map(TcpListener::local_addr).transpose()?,
            metrics: self.metrics.as_ref().map(Listener::address).transpose()?,
        })
    }

    pub(super) fn serve(
        self,
        state: &Arc<AppState>,
        admin: admin::Admin,
        inbound: Arc<Mailboxes>,
        stop: &CancellationToken,
        connections: &TaskTracker,
    ) {
        let router = http::router(state.clone());
        let all = self.http.into_iter().chain(self.https).map(|listener| (listener, router.clone()));
        let open = self.metrics.map(|listener| (listener, admin::open_router(state.clone())));
        for (listener, router) in all.chain([(self.admin, admin::router(admin))]).chain(open) {
            let (stop, tracker) = (stop.clone(), connections.clone());
            connections.spawn(async move {
                if let Err(error) = listener.serve(router, stop, tracker).await {
                    tracing::error!(%error, "a listener ended");
                }
            });
        }
        if let Some(listener) = self.lmtp {
            let inbound = Arc::new(Counted { inbound, telemetry: state.telemetry.clone() });
            connections.spawn(lmtp::serve(listener, inbound, lmtp::Limits::default(), stop.clone()));
        }
    }
}

fn cannot(address: SocketAddr, option: &str) -> String {
    format!(
        "cannot listen on {address}; give another in section [listen] of the configuration, with `tidings dev` by \
         {option} (port 0 takes a free one)"
    )
}
