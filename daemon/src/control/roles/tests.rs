use crate::control::roles::*;

/// The groups that exist.
fn find(name: &str) -> Result<Option<u32>, String> {
    match name {
        "readers" => Ok(Some(10)),
        "senders" => Ok(Some(20)),
        "chiefs" => Ok(Some(30)),
        "sick" => Err("input/output error".to_owned()),
        _ => Ok(None),
    }
}

fn settings(read: &[&str], send: &[&str], admin: &[&str]) -> Settings {
    let mut settings = Settings::default_in("/d");
    let groups = |names: &[&str]| {
        let origin = Origin::File { path: "/c.toml".into(), line: 3 };
        Setting::new(names.iter().map(|name| name.parse().unwrap()).collect(), origin)
    };
    settings.control.read = groups(read);
    settings.control.send = groups(send);
    settings.control.admin = groups(admin);
    settings
}

fn rules(read: &[&str], send: &[&str], admin: &[&str]) -> Rules {
    Rules::of(&settings(read, send, admin), 500, find).0
}

fn roles(rules: &Rules, uid: u32, gid: u32, groups: &[u32]) -> [bool; 3] {
    let roles = rules.roles_of(&Credentials::with_groups(uid, gid, groups));
    [Role::Read, Role::Send, Role::Admin].map(|role| roles.has(role))
}

#[test]
fn groups_give_their_role_and_admin_gives_all() {
    let rules = rules(&["readers"], &["senders"], &["chiefs"]);
    for (gid, groups, expected) in [
        (10, &[][..], [true, false, false]),
        (1, &[10], [true, false, false]),
        (1, &[7, 20], [false, true, false]),
        (20, &[10], [true, true, false]),
        (1, &[30], [true, true, true]),
        (1, &[7, 8], [false, false, false]),
        (0, &[], [false, false, false]),
    ] {
        assert_eq!(roles(&rules, 1000, gid, groups), expected, "{gid} {groups:?}");
    }
}

#[test]
fn by_default_only_privileged_users_have_roles() {
    let default = rules(&[], &[], &[]);
    for uid in [0, 500] {
        assert_eq!(roles(&default, uid, 9, &[]), [true; 3]);
    }
    for (gid, groups) in [(0, &[][..]), (500, &[500, 0])] {
        assert_eq!(roles(&default, 501, gid, groups), [false; 3]);
    }
}

#[test]
fn missing_groups_give_no_access_and_a_warning() {
    let configured = settings(&["nosuch", "readers"], &["sick"], &[]);
    let (rules, warnings) = Rules::of(&configured, 500, find);
    assert_eq!(roles(&rules, 1000, 10, &[]), [true, false, false]);
    assert_eq!(
        warnings,
        [
            "control.read: group `nosuch` is unknown and gives no access (/c.toml:3)",
            "control.send: group `sick` cannot be looked up (input/output error) and gives no access (/c.toml:3)"
        ]
    );
    // A default needs no warning.
    let mut by_default = configured;
    for setting in [&mut by_default.control.read, &mut by_default.control.send] {
        *setting = Setting::new(vec!["nosuch".parse().unwrap()], Origin::Flag("--system"));
    }
    assert!(Rules::of(&by_default, 500, find).1.is_empty());
}

#[test]
fn a_group_number_needs_no_look_up() {
    let rules = Rules::of(&settings(&["4000"], &[], &[]), 500, |name| panic!("{name}")).0;
    assert_eq!(roles(&rules, 1000, 1, &[4000]), [true, false, false]);
}

#[test]
fn the_file_mode_follows_the_groups() {
    for (read, send, admin, mode) in [
        (&[][..], &[][..], &[][..], 0o600),
        (&["nosuch"], &[], &[], 0o600),
        (&["readers"], &[], &[], 0o660),
        (&["readers"], &["readers"], &["10"], 0o660),
        (&["readers"], &["senders"], &[], 0o666),
        (&[], &["senders"], &[], 0o666),
        (&[], &[], &["chiefs"], 0o666),
    ] {
        assert_eq!(rules(read, send, admin).mode(10), mode, "{read:?} {send:?} {admin:?}");
    }
}

#[test]
fn roles_are_less_only_if_one_is_missing() {
    for bits in 0..8 {
        let roles = Roles { read: bits & 1 > 0, send: bits & 2 > 0, admin: bits & 4 > 0 };
        assert!(!roles.is_less_than(roles) && !Roles::ALL.is_less_than(roles));
        assert!(!roles.is_less_than(Roles::default()));
        assert_eq!(Roles::default().is_less_than(roles), !roles.is_none());
    }
    let reader = Roles { read: true, ..Roles::default() };
    assert!(Roles { send: true, ..Roles::default() }.is_less_than(reader));
}

fn hint(error: ErrorObject) -> String {
    assert_eq!(error.data.kind, ErrorKind::NotPermitted);
    error.data.hint.unwrap()
}

#[test]
fn refusals_name_permitted_groups_and_how_to_join() {
    let rules = rules(&["readers"], &["domain users", "senders"], &["chiefs"]);
    let refusal = rules.refusal("inbox", Role::Read, "bob");
    assert_eq!(refusal.message, "`inbox` requires role `read`; bob does not have it");
    let join = |group: &str, user: &str| {
        format!(
            "; an administrator adds a user with `usermod -aG {group} {user}`, which takes effect at the next login"
        )
    };
    assert_eq!(
        hint(refusal),
        format!("`read` is for the groups readers, chiefs and root{}", join("readers", "bob"))
    );
    assert_eq!(
        hint(rules.refusal("stop", Role::Admin, "1007")),
        format!("`admin` is for the group chiefs and root{}", join("chiefs", "NAME"))
    );
    assert_eq!(rules.exclusion("1007").message, "user 1007 has no role with this daemon");
    assert_eq!(
        hint(rules.exclusion("a b")),
        format!(
            "role `read` is for the group readers; role `send` is for the group senders; role `admin` is for the group chiefs{}",
            join("readers", "NAME")
        )
    );
}

#[test]
fn a_role_without_groups_is_for_privileged_users() {
    let rules = rules(&["readers"], &[], &[]);
    let hint = hint(rules.refusal("stop", Role::Admin, "bob"));
    assert_eq!(
        hint,
        "`admin` is for root and the user that the daemon runs as; list further groups under `admin` in [control] of \
         its configuration"
    );
}

#[test]
fn names_that_need_quoting_are_not_in_commands() {
    let rules = Rules::of(&settings(&["domain users"], &[], &[]), 500, |_| Ok(Some(7))).0;
    assert_eq!(
        hint(rules.refusal("inbox", Role::Read, "bob")),
        "`read` is for the group domain users and root"
    );
}
