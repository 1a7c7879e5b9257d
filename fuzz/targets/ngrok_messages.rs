//! Questions of ngrok SDKs: how one is split must not matter, and whatever it says ends in a value or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portway_wire::ngrok::{Auth, Bind, BindLabels, PatchEndpoint, RequestDecoder, Unbind, command_error};

fuzz_target!(|data: &[u8]| {
    let at_once = RequestDecoder::new().push(data);
    let (mut decoder, mut in_pieces) = (RequestDecoder::new(), Ok(None));
    for byte in data {
        if matches!(in_pieces, Ok(None)) {
            in_pieces = decoder.push(&[*byte]);
        }
    }
    assert_eq!(at_once, in_pieces);
    let Ok(Some(message)) = at_once else { return };
    let _ = Auth::read(&message).map(|auth| auth.family());
    let _ = BindLabels::read(&message);
    let _ = Unbind::read(&message);
    let _ = PatchEndpoint::read(&message);
    let _ = command_error(&message);
    if let Ok(mut bind) = Bind::read(&message) {
        let _ = bind.opts.wanted_name(bind.scheme);
        bind.opts.assign(bind.scheme, "app.example.com");
    }
});
