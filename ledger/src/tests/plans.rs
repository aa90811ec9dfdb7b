//! Versions of the plans: the samples before the first, what may be set, and what is retired.

use super::check;
use crate::{Interval, Micros, PlanId};

#[test]
fn the_samples_stand_in_until_plans_are_set() {
    let world = check("balance => 0");
    let samples = world.platform.plans.newest();
    assert!(samples.is_sample() && world.platform.plans.versions().is_empty());
    let ids: Vec<_> = samples.plans.iter().map(|plan| plan.id.as_str()).collect();
    assert_eq!(ids, ["growth", "scale", "starter"]);
    for plan in &samples.plans {
        assert_eq!(plan.credits, plan.price(), "a sample brings no more than a top-up of its price");
        assert!(plan.price_cents > 0, "nobody gets credit for nothing from a sample");
    }
    // The samples count as set only once they are.
    check(
        "
        plans growth=9900/9_900_000/month/Growth scale=29900/29_900_000/month/Scale starter=1900/1_900_000/month/Starter => plans 1
        plans growth=9900/9_900_000/month/Growth scale=29900/29_900_000/month/Scale starter=1900/1_900_000/month/Starter => unchanged
        ",
    );
}

#[test]
fn a_version_replaces_all_plans_and_retires_those_it_does_not_name() {
    let world = check(
        "
        plans pro=4900/6_000_000/month basic=0/100_000/month yearly=49000/6_000_000/year => plans 1
        plans yearly=49000/6_000_000/year basic=0/100_000/month pro=4900/6_000_000/month => unchanged
        plans pro=5900/6_000_000/month => plans 2
        plans pro=5900/6_000_000/month/Pro => plans 3
        plans pro=5900/6_000_000/year/Pro => plans 4
        plans => plans 5
        plans => unchanged
        plans pro=5900/6_000_001/year/Pro => plans 6
        ",
    );
    let plans = &world.platform.plans;
    let find = |version: usize, id: &str| plans.versions()[version - 1].find(&PlanId::known(id));
    let yearly = find(1, "yearly").expect("the first version has it");
    assert_eq!((yearly.price(), yearly.interval), (Micros::new(49_000_000), Interval::Year));
    assert_eq!(find(1, "basic").map(|plan| plan.price_cents), Some(0));
    assert_eq!(find(2, "yearly"), None);
    assert_eq!(find(5, "pro"), None);
    assert_eq!(plans.newest().version, 6);
    assert_eq!(plans.newest().find(&PlanId::known("starter")), None, "a set version ends the samples");
}

#[test]
fn plans_have_bounds() {
    let many: String = (0..101).map(|n| format!(" plan{n}=100/1/month")).collect();
    let (long, longest) = ("n".repeat(101), "n".repeat(100));
    check(&format!(
        "
        plans{many} => no invalid_field plans
        plans a=100/1/month b=100/1/month a=200/1/month => no invalid_field plans
        plans a=100/1/month/ => no invalid_field name
        plans a=100/1/month/{long} => no invalid_field name
        plans a=-1/1/month => no invalid_field price_usd
        plans a=1/1/month => no invalid_field price_usd
        plans a=49/1/month => no invalid_field price_usd
        plans a=100000000/1/month => no invalid_field price_usd
        plans a=100/0/month => no invalid_field credits
        plans a=100/-1/month => no invalid_field credits
        plans a=100/9_000_000_000_001/month => no invalid_field credits
        plans a=50/1/month b=99_999_999/9_000_000_000_000/year c=0/1/year/{longest} => plans 1
        "
    ));
}

#[test]
fn only_the_platform_sets_plans() {
    check(
        "
        join ada admin
        new_key manage
        plans a=100/1/month by=ada => no unauthenticated
        plans a=100/1/month by=k1 => no unauthenticated
        ",
    );
}
