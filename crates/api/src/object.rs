//! Objects: one description of the fields makes the type, its reading, its writing and its schema.

use serde_json::{Map, Value};

use portway_codes::Code;

use crate::fault::FaultKind;
use crate::schema::plain;
use crate::value::wrong_type;
use crate::{Fault, Input};

/// What a field of a request says beyond its type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    missing: Option<Code>,
    invalid: Option<Code>,
}

impl Rules {
    /// The code when the field is missing.
    pub(crate) fn missing(self, code: Code) -> Self {
        Rules { missing: Some(code), ..self }
    }

    /// The code when the value breaks a rule; it replaces what the type says.
    pub(crate) fn invalid(self, code: Code) -> Self {
        Rules { invalid: Some(code), ..self }
    }
}

/// Describes objects of requests. Each becomes a struct with [`Input`] and [`Described`](crate::Described); a field's type says
/// whether it must be there (`T`), may be absent (`Option<T>`, `Vec<T>`), or has a value when it is (`T = value`).
///
/// After the fields may stand: `ignored` names that are accepted and not looked at, `refused` names with a code of their own, and
/// `empty`, the code for a body that sets nothing; `check` is a function for rules about several fields, and `says` gives the same rules
/// as schemas.
macro_rules! body {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident $(| $alias:literal $both:ident)? : $type:ty
                    $(= $default:expr)? $(, $rule:ident $code:ident)*;
            )*
        }
        $(ignored $($ignored:literal),+;)?
        $(refused $($refused:literal $refusal:ident),+;)?
        $(empty $empty:ident;)?
        $(check $check:path;)?
        $(says $($says:expr),+;)?
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $type,)*
        }

        impl $crate::Described for $name {
            fn schema(schemas: &mut $crate::Schemas) -> serde_json::Value {
                $crate::schema::define(stringify!($name), concat!($($doc),+), schemas, |_schemas, _object| {
                    $({
                        let default = $crate::object::default!($type $(, $default)?);
                        let required = default.is_none() && <$type as $crate::Input>::absent().is_err();
                        let schema = <$type as $crate::Described>::schema(_schemas);
                        let unset = (!required).then_some(<$type as $crate::Input>::is_unset as fn(&_) -> _);
                        _object.input(stringify!($field), concat!($($help),+), schema, unset);
                    })*
                    _object.close(&[$($($ignored),+)?], &[$($($refused),+)?]);
                    $crate::object::only_when!(_object.sets_something() $(, $empty)?);
                    $($(_object.rule($says);)+)?
                })
            }
        }

        impl $crate::Input for $name {
            fn read(value: serde_json::Value) -> Result<Self, $crate::Fault> {
                let known = &[$(stringify!($field) $(, $alias)?),*];
                let mut members = $crate::object::Members::new(
                    value, known, &[$($($ignored),+)?], &[$($(($refused, portway_codes::Code::$refusal)),+)?])?;
                $($(members.rename($alias, stringify!($field), portway_codes::Code::$both)?;)?)*
                $(
                    let default = $crate::object::default!($type $(, $default)?);
                    let rules = $crate::object::Rules::default()$(.$rule(portway_codes::Code::$code))*;
                    let $field: $type = members.take(stringify!($field), rules, default)?;
                )*
                let sets_nothing = true $(&& $crate::Input::is_absent(&$field))*;
                $crate::object::refuse_empty(sets_nothing, &[$(portway_codes::Code::$empty)?])?;
                let body = Self { $($field),* };
                $($check(&body)?;)?
                Ok(body)
            }
        }
    )+};
}

/// Describes objects of replies. Each becomes a struct that serde writes and reads; every field is always written.
macro_rules! reply {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident {
            $($(#[doc = $help:literal])+ $field:ident : $type:ty;)*
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $type,)*
        }

        impl $crate::Described for $name {
            fn schema(schemas: &mut $crate::Schemas) -> serde_json::Value {
                $crate::schema::define(stringify!($name), concat!($($doc),+), schemas, |_schemas, _object| {$(
                    _object.field(stringify!($field), concat!($($help),+), <$type as $crate::Described>::schema(_schemas));
                )*})
            }
        }
    )+};
}

/// What an absent field has, when its description says so.
macro_rules! default {
    ($type:ty) => {
        None::<fn() -> $type>
    };
    ($type:ty, $default:expr) => {
        Some::<fn() -> $type>(|| $default)
    };
}

/// Does something when there is one more word.
macro_rules! only_when {
    ($done:expr) => {};
    ($done:expr, $word:ident) => {
        $done
    };
}

pub(crate) use {body, default, only_when, reply};

/// The members of an object of a request, of which each field takes its own.
pub(crate) struct Members(Map<String, Value>);

impl Members {
    /// The members, when all of them are known.
    pub(crate) fn new(
        value: Value,
        known: &[&str],
        ignored: &[&str],
        refused: &[(&str, Code)],
    ) -> Result<Members, Fault> {
        let Value::Object(members) = value else { return Err(wrong_type("an object", &value)) };
        for name in members.keys().map(String::as_str) {
            if known.iter().any(|known| plain(known) == name) || ignored.contains(&name) {
                continue;
            }
            if let Some((_, code)) = refused.iter().find(|(refused, _)| *refused == name) {
                // Clients that send every field they know say nothing with these.
                if members[name].is_null() || members[name] == "" {
                    continue;
                }
                return Err(Fault::unwanted(*code, name, "it cannot be set here"));
            }
            return Err(Fault::unwanted(Code::ERR_NGROK_214, &shortened(name), unknown(known)));
        }
        Ok(Members(members))
    }

    /// Gives a field that was sent under its older name its own.
    pub(crate) fn rename(&mut self, alias: &str, name: &str, both: Code) -> Result<(), Fault> {
        let given = |value: &Value| !value.is_null() && value != "";
        let Some(older) = self.0.remove(alias).filter(given) else { return Ok(()) };
        if self.0.get(name).is_some_and(given) {
            return Err(Fault::unwanted(both, alias, format!("\"{name}\" is given, too")));
        }
        self.0.insert(name.to_owned(), older);
        Ok(())
    }

    /// Takes the value of a field.
    pub(crate) fn take<T: Input>(&mut self, name: &str, rules: Rules, default: Option<fn() -> T>) -> Result<T, Fault> {
        let name = plain(name);
        let value = self.0.remove(name).filter(|value| !value.is_null() && !T::is_unset(value));
        let read = match (value, default) {
            (Some(value), _) => T::read(value),
            (None, Some(default)) => Ok(default()),
            (None, None) => T::absent(),
        };
        read.map_err(|mut fault| {
            // The rules are about the value itself and the entries of a list, not about members further inside.
            let inside = fault.path.contains(|c: char| c != '[' && c != ']' && !c.is_ascii_digit());
            if !inside && fault.kind != FaultKind::Unwanted {
                let code = if fault.kind == FaultKind::Missing { rules.missing } else { rules.invalid };
                fault.code = code.or(fault.code);
            }
            fault.in_field(name)
        })
    }
}

/// Refuses a change that sets nothing, when there is a code for that.
pub(crate) fn refuse_empty(sets_nothing: bool, code: &[Code]) -> Result<(), Fault> {
    match code {
        [code] if sets_nothing => Err(Fault::coded(*code, "it sets no field")),
        _ => Ok(()),
    }
}

/// Enough of a stranger's word to find it again.
fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn unknown(known: &[&str]) -> String {
    match known {
        [] => "it is not known, and no field is".to_owned(),
        _ => format!(
            "it is not known; known are {}",
            known.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
        ),
    }
}
