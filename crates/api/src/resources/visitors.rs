//! Visitors who logged in at endpoints.

use crate::object::reply;
use crate::{Ref, Timestamp};

reply! {
    /// Who vouched for a visitor.
    IdentityProvider {
        /// The name.
        name: String;
        /// The address.
        url: String;
    }

    /// A visitor who logged in at an endpoint.
    ApplicationUser {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// Who vouched for the visitor.
        identity_provider: IdentityProvider;
        /// The id that the provider has for the visitor.
        provider_user_id: String;
        /// The user name there.
        username: String;
        /// The e-mail address there.
        email: String;
        /// The name there.
        name: String;
        /// When the visitor came for the first time.
        created_at: Timestamp;
        /// When the visitor was seen last.
        last_active: Timestamp;
        /// When the visitor logged in last.
        last_login: Timestamp;
    }

    /// The program that a visitor uses.
    UserAgent {
        /// The header as it came.
        raw: String;
        /// The name of the browser.
        browser_name: String;
        /// The version of the browser.
        browser_version: String;
        /// The kind of device.
        device_type: String;
        /// The name of the operating system.
        os_name: String;
        /// The version of the operating system.
        os_version: String;
    }

    /// Where an address is, roughly.
    Location {
        /// The code of the country.
        country_code: Option<String>;
        /// Degrees north.
        latitude: Option<f64>;
        /// Degrees east.
        longitude: Option<f64>;
        /// How far off this may be, in kilometres.
        lat_long_radius_km: Option<u64>;
    }

    /// A visitor's browser.
    BrowserSession {
        /// The program.
        user_agent: UserAgent;
        /// The address.
        ip_address: String;
        /// Where the address is.
        location: Option<Location>;
    }

    /// A login of a visitor.
    ApplicationSession {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// The URL that it is for.
        public_url: String;
        /// The browser.
        browser_session: BrowserSession;
        /// The visitor.
        application_user: Option<Ref>;
        /// When it began.
        created_at: Timestamp;
        /// When it was used last.
        last_active: Timestamp;
        /// When it ends.
        expires_at: Timestamp;
        /// The endpoint that it is for.
        endpoint: Option<Ref>;
        /// Always null; older clients look for it.
        edge: Option<Ref>;
        /// Always null; older clients look for it.
        route: Option<Ref>;
    }
}
