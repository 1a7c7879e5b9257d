//! The command line of an SSH session and the address of a forward: nothing panics, what is accepted keeps its limits, and no error carries
//! what a terminal would obey.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portway_ssh::{MAX_REPEATS, Parsed, parse, wanted};

// The command, a line feed, the address; the first two bytes are the port.
fuzz_target!(|data: &[u8]| {
    let [high, low, rest @ ..] = data else { return };
    let port = u32::from(u16::from_be_bytes([*high, *low]));
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let line = parts.next().unwrap_or_default();
    let address = String::from_utf8_lossy(parts.next().unwrap_or_default());
    match parse(line) {
        Ok(Parsed::Run(command)) => {
            assert!(command.options.basic_auth.len() <= MAX_REPEATS);
            assert!(command.options.metadata.len() <= 4096);
            for several in [false, true] {
                match wanted(&command, &address, port, several) {
                    Ok(url) => assert!(command.kind.serves(url.scheme)),
                    Err(error) => plain(&error.text),
                }
            }
        }
        Ok(Parsed::Help(text)) => assert!(text.ends_with('\n')),
        Err(error) => plain(&error.text),
    }
});

fn plain(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
