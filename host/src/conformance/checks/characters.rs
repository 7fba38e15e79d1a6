//! Characters that are syntax somewhere: in SQL, in a shell, in JSON, in a URL, in a protocol's own framing.

use super::super::ConformanceError;
use super::super::scene::{Bench, Scene};
use super::super::service::Account;
use super::super::subject::Place;
use super::super::verdict::{Flaws, Verdict};
use crate::failure::{Cause, Effect};

/// What a password may look like. Some are longer than anybody's buffer should be.
const PASSWORDS: [&str; 13] = [
    "it's-quoted-1A'",
    "\"double\"-quoted-1A",
    "back\\slash\\-1A\\",
    "per%cent%41%-1A%%s",
    "co:lon:1A:",
    "at@sign@1A@",
    " with a space 1A ",
    "{json}[1]&a=b;c#d?1A",
    "$HOME`id`$(id)|1A",
    "<xml/>&amp;,dn=1A+#",
    "-- sql; DROP 1A /*",
    "umlaut-äöü-漢字-1A",
    "line\ttab-1A",
];

/// What an account may have got from somebody else: no policy makes it.
const OLD_PASSWORDS: [&str; 4] = ["line\nbreak-1A", "crab-🦀-1A", "e\u{301}-in-two-1A", "\u{a0}no-break\u{2003}spaces-1A"];

/// What stands in user names.
const NAMES: [&str; 11] = [
    "it's",
    "MixedCase",
    "dou\"ble",
    "back\\slash",
    "per%41cent",
    "co:lon",
    "at@sign",
    "a space",
    "semi;--",
    "um-läut-漢",
    "dn=a,b+c",
];

/// The length of the long ones.
const LONG: usize = 128;

pub(super) async fn passwords(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const RAW: &str = "hand a password over as data (a length, a parameter, an escaped literal), never as a part of a command; or exclude in \
                       the manifest's [password] what the service cannot take";
    let mut flaws = Flaws::default();
    let policy = bench.renewal()?.policy;
    let long: String = "Aa1-".repeat(LONG / 4);
    let (mut worked, mut excluded, mut too_long) = (0, 0, "");
    for password in PASSWORDS.into_iter().chain([long.as_str()]) {
        let mut scene = bench.scene().await?;
        if !policy.can_make(password) {
            excluded += 1;
            continue;
        }
        // As the new password, and then as the one that is replaced.
        let (next, shown) = (bench.password()?, format!("a password such as {password:?}"));
        scene.pending = password.to_owned();
        if password == long {
            // The policy's default is shorter; an operator who asks for more than the service takes has to be told.
            let set = bench.subject.set(&bench.handed(&scene)?, Place::AsItIs).await?;
            if set.failure() == Some((Cause::Rejected, Effect::Unchanged)) {
                too_long = "; 128 characters are `rejected`";
                continue;
            }
        }
        let mut ends = vec![ended(bench, &scene, RAW).await?];
        (scene.previous, scene.current, scene.pending) = (scene.current, scene.pending, next);
        ends.push(ended(bench, &scene, RAW).await?);
        for (end, as_what) in ends.into_iter().zip(["new", "old"]) {
            if let Err((seen, advice)) = end {
                flaws.expect(false, || format!("with {shown} as the {as_what} one {seen}"), advice);
            }
        }
        worked += 1;
    }
    Ok(flaws.verdict(format!("{worked} work, {excluded} the manifest's policy never makes{too_long}")))
}

/// What no policy makes, as the password that is replaced. A plugin need not be able to log in with it, but has to say that it is this.
pub(super) async fn old_passwords(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const OLD: &str = "an old password may hold any character: log in with it as it is, or report `malformed-secret`, `unsupported` or \
                       `rejected`, and `unchanged`, if the service's protocol cannot carry it";
    let (mut flaws, policy, exclude) = (Flaws::default(), bench.renewal()?.policy, bench.case.old_passwords.exclude.clone());
    let (mut replaced, mut refused, mut none) = (0, 0, Vec::new());
    for password in PASSWORDS.into_iter().chain(OLD_PASSWORDS).filter(|password| !policy.can_make(password)) {
        if password.chars().any(|of| exclude.contains(of)) {
            none.push(format!("{password:?}"));
            continue;
        }
        let scene = bench.scene_beginning_with(password).await?;
        let handed = bench.handed(&scene)?;
        let set = bench.subject.set(&handed, Place::AsItIs).await?;
        let new = bench.service.accepts(&scene.account, &scene.pending).await?;
        if matches!(set.result, Some(Ok(_))) {
            flaws.expect(
                new,
                || {
                    format!(
                        "with {password:?} as the old password set-secret succeeded, and the service does not accept the new value"
                    )
                },
                OLD,
            );
            replaced += 1;
            continue;
        }
        let said = set.failure().is_some_and(|(cause, effect)| {
            effect == Effect::Unchanged && matches!(cause, Cause::MalformedSecret | Cause::Unsupported | Cause::Rejected)
        });
        flaws.expect(
            said,
            || format!("with {password:?} as the old password set-secret ended with {}", set.in_words()),
            set.advice(OLD),
        );
        let untouched = !new && bench.service.accepts(&scene.account, &scene.current).await?;
        flaws.expect(
            untouched,
            || {
                format!(
                    "with {password:?} as the old password set-secret ended with {}, and the service was changed",
                    set.in_words()
                )
            },
            OLD,
        );
        refused += 1;
    }
    if replaced + refused == 0 {
        return Ok(Verdict::NotShown { why: "the manifest's policy, and the case, leave no other character".to_owned() });
    }
    let none = said_by_the_case(&none);
    Ok(flaws.verdict(format!("{replaced} replaced, {refused} refused as such{none}")))
}

fn said_by_the_case(none: &[String]) -> String {
    if none.is_empty() { String::new() } else { format!("; the case says that the service has none such as {}", none.join(", ")) }
}

pub(super) async fn user_names(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const RAW: &str = "hand a user name over as data, as with passwords; or refuse it as `malformed-secret` and `unchanged`";
    let (mut flaws, mut worked, mut none) = (Flaws::default(), 0, Vec::new());
    let long = "n".repeat(LONG);
    let bounds = bench.case.user_names.clone();
    for name in NAMES.into_iter().chain([long.as_str()]) {
        if name.chars().any(|of| bounds.exclude.contains(of)) || bounds.longest.is_some_and(|longest| name.len() > longest) {
            none.push(if name.len() == LONG { format!("{LONG} characters") } else { format!("`{name}`") });
            continue;
        }
        let account = Account { name: name.to_owned() };
        let (previous, current, pending) = (bench.password()?, bench.password()?, bench.password()?);
        bench.service.create(&account, &current).await?;
        let scene = Scene { account, previous, current, pending };
        if let Err((seen, advice)) = ended(bench, &scene, RAW).await? {
            flaws.expect(false, || format!("with a user name such as {name:?} {seen}"), advice);
        }
        worked += 1;
    }
    let none = said_by_the_case(&none);
    Ok(flaws.verdict(format!("{worked} work{none}")))
}

/// A rotation in this scene: what goes wrong, if anything does, and what to change, which usually is `raw`.
async fn ended(bench: &Bench, scene: &Scene, raw: &'static str) -> Result<Result<(), (String, &'static str)>, ConformanceError> {
    let handed = bench.handed(scene)?;
    let set = bench.subject.set(&handed, Place::AsItIs).await?;
    if !matches!(set.result, Some(Ok(_))) {
        return Ok(Err((format!("set-secret ended with {}", set.in_words()), set.advice(raw))));
    }
    if !bench.service.accepts(&scene.account, &scene.pending).await? {
        return Ok(Err(("set-secret succeeded, and the service does not accept the new value".to_owned(), raw)));
    }
    let test = bench.subject.test(&handed, Place::AsItIs).await?;
    let succeeded = matches!(test.result, Some(Ok(())));
    Ok(if succeeded { Ok(()) } else { Err((format!("test-secret ended with {}", test.in_words()), test.advice(raw))) })
}
