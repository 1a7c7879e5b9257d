//! Which region's edges an agent uses: the one of the user's choice, or the fastest one that is offered.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use portway_mux::{DialCause, DialError, Dialer};
use portway_names::{ConnectUrl, Host, HostName, NGROK_REGIONS, Region};
use portway_proto::agent::v1::{OfferedRegion, Welcome};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::Core;
use crate::error::ConnectError;
use crate::link::Link;

/// Time from a new session to its first measurement: endpoints come first.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// Time from a measurement that found a better region to the one that must find the same.
const CONFIRM_AFTER: Duration = Duration::from_secs(30);
/// Time between measurements of an agent that has settled.
const MEASURE_EVERY: Duration = Duration::from_secs(600);
/// Handshakes with each region in one measurement; the fastest counts, as what slows a single one is chance.
const HANDSHAKES: usize = 3;
/// A region is better when it is faster by this much, and by a fifth.
const MARGIN: Duration = Duration::from_millis(10);
/// Offers taken from an edge.
const MAX_OFFERS: usize = 64;

/// What an agent knows of regions, from session to session.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    offers: Vec<Offer>,
    /// Region of the current session.
    current: String,
    /// What was moved to, for the next dial.
    taken: Option<Arc<Dialer>>,
    /// The first choice is made at once. From then on two measurements in a row must agree, so that an agent does not move to and fro.
    settled: bool,
    found: Option<String>,
    due: Option<Instant>,
    measuring: Option<AbortOnDropHandle<Vec<Measured>>>,
}

/// A region that an edge has offered.
#[derive(Clone, Debug)]
struct Offer {
    region: String,
    dialer: Arc<Dialer>,
}

/// How long a region took to answer.
type Measured = (String, Duration);

impl Regions {
    /// Takes note of a new session.
    pub(crate) fn adopted(&mut self, core: &Core, link: &Link) {
        self.measuring = None;
        self.found = None;
        self.current.clone_from(&link.welcome.region);
        self.offers = if core.region.is_none() { offers(&core.dialer, &link.welcome) } else { Vec::new() };
        self.due = (self.offers.len() > 1).then(|| Instant::now() + FIRST_AFTER);
    }

    /// What a lost session is made again with.
    pub(crate) fn dialer<'a>(&'a self, core: &'a Core) -> &'a Dialer {
        self.taken.as_deref().unwrap_or(&core.dialer)
    }

    /// The region was reached, and is where the agent stays.
    pub(crate) fn moved(&mut self, dialer: Arc<Dialer>) {
        self.taken = Some(dialer);
    }

    /// No session could be made: from now on whatever the connect URL leads to will do.
    pub(crate) fn lost(&mut self) {
        self.taken = None;
    }

    /// When [`Self::measure`] is to be called.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.measuring.is_none())
    }

    /// Begins a measurement of all offers at once.
    pub(crate) fn measure(&mut self) {
        self.due = None;
        let measurement = measure(self.offers.clone());
        self.measuring = Some(AbortOnDropHandle::new(tokio::spawn(measurement)));
    }

    /// What dials the better region that the running measurement finds, if any.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn measured(&mut self) -> Option<Arc<Dialer>> {
        let Some(measuring) = &mut self.measuring else { return pending().await };
        let measured = measuring.await.unwrap_or_default();
        self.measuring = None;
        let best = faster(&self.current, &measured).map(str::to_owned);
        let confirmed = best.is_some() && (!self.settled || best == self.found);
        self.settled |= !measured.is_empty();
        let wait = if best.is_some() && !confirmed { CONFIRM_AFTER } else { MEASURE_EVERY };
        self.due = Some(Instant::now() + wait);
        self.found = best;
        let found = self.found.as_ref().filter(|_| confirmed)?;
        tracing::debug!(?measured, current = self.current, better = found, "another region is faster");
        self.offers.iter().find(|offer| offer.region == *found).map(|offer| offer.dialer.clone())
    }
}

/// Reads what the user says: a region; or `auto` or nothing, which is none.
pub(crate) fn choice(text: &str) -> Result<Option<Region>, ConnectError> {
    if matches!(text, "" | "auto") {
        return Ok(None);
    }
    let region = text.parse().map_err(|error| ConnectError::Region { region: text.to_owned(), reason: error })?;
    Ok(Some(region))
}

/// Dials the edges of one region. A name that ngrok has for its regions and this installation has not is no reason to fail: files written
/// for ngrok keep working.
pub(crate) async fn dial_pinned(core: &Arc<Core>, region: &Region, generation: u64) -> Result<Link, ConnectError> {
    let mut unreached = None;
    if let Some(dialer) = regional(&core.dialer, region) {
        match dialer.dial().await {
            Ok(session) => return Link::establish(core, dialer, session, generation).await,
            Err(error) if !is_unknown(&error) => return Err(ConnectError::Dial(error)),
            Err(error) => unreached = Some(error),
        }
    }
    let session = core.dialer.dial().await.map_err(ConnectError::Dial)?;
    let link = Link::establish(core, core.dialer.clone(), session, generation).await?;
    let Welcome { region: here, regions, .. } = &link.welcome;
    let is_offered = regions.iter().any(|offer| offer.region == region.as_str());
    match unreached {
        _ if here == region.as_str() => Ok(link),
        Some(error) if is_offered => Err(ConnectError::Dial(error)),
        _ if NGROK_REGIONS.contains(&region.as_str()) => {
            tracing::warn!(obj = "tunnels.session", %region, using = here, "this installation has no such region");
            Ok(link)
        }
        _ => {
            let mut offered: Vec<String> = regions.iter().map(|offer| offer.region.clone()).collect();
            if !offered.contains(here) {
                offered.push(here.clone());
            }
            Err(ConnectError::RegionNotOffered { region: region.to_string(), offered })
        }
    }
}

/// A dialer for the connect URL's name of one region; none when the connect URL is an address.
fn regional(dialer: &Dialer, region: &Region) -> Option<Dialer> {
    let ConnectUrl { host: Host::Name(host), port } = dialer.target() else { return None };
    // Who names a region and its own name means the same region by both.
    if host.labels().next() == Some(region.as_str()) {
        return Some(dialer.clone());
    }
    let host = HostName::join(region.as_str(), host).ok()?;
    Some(dialer.to(ConnectUrl { host: Host::Name(host), port: *port }))
}

/// Whether nobody knows the name that was dialled.
fn is_unknown(error: &DialError) -> bool {
    matches!(error.cause(), Some(DialCause::Dns(_) | DialCause::NoAddress | DialCause::Tls(_)))
}

/// The offers of an edge that can be dialled.
fn offers(dialer: &Dialer, welcome: &Welcome) -> Vec<Offer> {
    let offer = |OfferedRegion { region, connect_url }: &OfferedRegion| {
        let target = match connect_url.parse::<HostName>() {
            Ok(host) => ConnectUrl { host: Host::Name(host), port: dialer.target().port },
            Err(_) => connect_url.parse().ok()?,
        };
        Some(Offer { region: region.clone(), dialer: Arc::new(dialer.to(target)) })
    };
    welcome.regions.iter().take(MAX_OFFERS).filter_map(offer).collect()
}

/// Measures all at once; what does not answer is left out.
async fn measure(offers: Vec<Offer>) -> Vec<Measured> {
    let mut measuring: JoinSet<Option<Measured>> = offers
        .into_iter()
        .map(|Offer { region, dialer }| async move {
            let mut best = Duration::MAX;
            for _ in 0..HANDSHAKES {
                match dialer.measure().await {
                    Ok(took) => best = best.min(took?),
                    Err(error) => {
                        tracing::debug!(region, %error, "the region was not measured");
                        return None;
                    }
                }
            }
            Some((region, best))
        })
        .collect();
    let mut measured = Vec::new();
    while let Some(result) = measuring.join_next().await {
        measured.extend(result.ok().flatten());
    }
    measured
}

/// The region that is clearly faster than the current one, if any. Nothing is clear about a current one that did not answer: its session
/// lives.
fn faster<'a>(current: &str, measured: &'a [Measured]) -> Option<&'a str> {
    let (_, now) = measured.iter().find(|(region, _)| region == current)?;
    let (region, best) = measured.iter().min_by_key(|(_, took)| *took)?;
    let gain = now.saturating_sub(*best);
    (gain > MARGIN && gain > *now / 5).then_some(region)
}

#[cfg(test)]
mod tests {
    //! What is clearly faster, and what is dialled for a region.

    use super::*;

    fn measured(regions: &[(&str, u64)]) -> Vec<Measured> {
        regions.iter().map(|(region, millis)| ((*region).to_owned(), Duration::from_millis(*millis))).collect()
    }

    #[test]
    fn a_region_must_be_clearly_faster() {
        let better = |regions: &[(&str, u64)]| faster("eu", &measured(regions)).map(str::to_owned);
        assert_eq!(better(&[("eu", 90), ("us", 20), ("ap", 200)]).as_deref(), Some("us"));
        assert_eq!(better(&[("eu", 20), ("us", 90)]), None, "the current one is the fastest");
        assert_eq!(better(&[("eu", 12), ("us", 3)]), None, "9 ms are not worth a move");
        assert_eq!(better(&[("eu", 100), ("us", 81)]), None, "nor is less than a fifth");
        assert_eq!(better(&[("eu", 100), ("us", 79)]).as_deref(), Some("us"));
        assert_eq!(better(&[("us", 5)]), None, "the current one did not answer");
        assert_eq!(better(&[]), None);
    }

    fn dialer(connect_url: &str) -> Dialer {
        Dialer::new(connect_url.parse().expect("valid"), &portway_tls::Roots::Webpki).expect("usable")
    }

    #[test]
    fn a_region_has_a_name_below_the_connect_url() {
        let target = |url: &str, region: &str| {
            regional(&dialer(url), &region.parse().expect("valid")).map(|dialer| dialer.target().to_string())
        };
        assert_eq!(target("connect.example.com:8443", "eu").as_deref(), Some("eu.connect.example.com:8443"));
        assert_eq!(target("eu.connect.example.com:8443", "eu").as_deref(), Some("eu.connect.example.com:8443"));
        assert_eq!(target("127.0.0.1:8443", "eu"), None);
    }

    #[test]
    fn offers_that_cannot_be_dialled_are_left_out() {
        let offer = |region: &str, connect_url: &str| OfferedRegion {
            region: region.to_owned(),
            connect_url: connect_url.to_owned(),
        };
        let regions =
            vec![offer("eu", "eu.connect.example.com"), offer("us", "10.0.0.1:444"), offer("ap", "http://x/y")];
        let offers = offers(&dialer("connect.example.com:8443"), &Welcome { regions, ..Welcome::default() });
        let targets: Vec<String> = offers.iter().map(|offer| offer.dialer.target().to_string()).collect();
        assert_eq!(targets, ["eu.connect.example.com:8443", "10.0.0.1:444"]);
        let many = vec![offer("eu", "eu.connect.example.com"); 1000];
        let welcome = Welcome { regions: many, ..Welcome::default() };
        assert_eq!(super::offers(&dialer("connect.example.com"), &welcome).len(), MAX_OFFERS);
    }
}
