//! The other accounts of the service, which are nobody's business here.

use super::super::ConformanceError;
use super::super::scene::{Bench, Scene};
use super::super::service::Account;
use super::super::subject::Place;
use super::super::verdict::{Flaws, Verdict};

pub(super) async fn other_accounts(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const ONLY_THIS: &str = "change the account of AWSPENDING and no other: name it in the change, whole, and not as a pattern";
    let (scene, other, mut flaws) = (bench.scene().await?, bench.scene().await?, Flaws::default());
    // To whom a pattern, or a name that is compared only as far as it goes, would be the same.
    let namesake = Account { name: format!("{}-too", scene.account.name) };
    let password = bench.password()?;
    bench.service.create(&namesake, &password).await?;
    let set = bench.subject.set(&bench.handed(&scene)?, Place::AsItIs).await?;
    if !matches!(set.result, Some(Ok(_))) {
        return Ok(Verdict::NotShown { why: format!("set-secret ended with {}", set.in_words()) });
    }
    let Scene { account: other, current: kept, .. } = other;
    for (account, kept) in [(other, kept), (namesake, password)] {
        let said = format!("set-secret was about the account `{}`", scene.account.name);
        let still = bench.service.accepts(&account, &kept).await?;
        flaws.expect(still, || format!("{said}, and the password of `{}` is not accepted any more", account.name), ONLY_THIS);
        let new = bench.service.accepts(&account, &scene.pending).await?;
        flaws.expect(!new, || format!("{said}, and `{}` accepts the new value, too", account.name), ONLY_THIS);
    }
    Ok(flaws.verdict(""))
}
