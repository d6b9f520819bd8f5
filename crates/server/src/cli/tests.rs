use clap::CommandFactory as _;

use super::Cli;

/// The help of the program or of one of its commands, at a fixed width.
fn help(command: Option<&str>) -> String {
    let mut program = Cli::command().term_width(100);
    program.build();
    match command {
        None => program.render_help().to_string(),
        Some(name) => program.find_subcommand_mut(name).unwrap().render_help().to_string(),
    }
}

#[test]
fn the_help_teaches() {
    insta::assert_snapshot!(help(None));
    for command in ["dev", "serve", "listen", "ingest", "decrypt"] {
        insta::assert_snapshot!(command, help(Some(command)));
    }
}

/// The help of a command and of everything below it.
fn all_help(command: &mut clap::Command) -> String {
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let mut text = format!("$ {name} --help\n{}\n", command.render_help());
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        text.push_str(&all_help(below));
    }
    text
}

#[test]
fn a_change_of_an_app_says_what_is_to_change() {
    let parse = |options: &[&str]| {
        let line = ["tidings", "app", "set", "507c3b9a-67b8-463d-88a2-15a8cefb2111"]
            .into_iter()
            .chain(options.iter().copied());
        Cli::command().try_get_matches_from(line)
    };
    let refused = parse(&[]).unwrap_err().to_string();
    assert!(refused.contains("--name <NAME>") && refused.contains("--all-mailboxes"), "{refused}");
    assert!(parse(&["--enabled", "false"]).is_ok());
    assert!(parse(&["--name", "Archive", "--token-version", "2"]).is_ok());
}

#[test]
fn the_commands_of_the_desk_teach_with_an_example_in_each() {
    let mut program = Cli::command().term_width(100);
    program.build();
    for command in
        ["tenant", "user", "app", "consent", "topic", "keys", "ledger", "replay", "clock", "fault", "outbound"]
    {
        let help = all_help(program.find_subcommand_mut(command).unwrap());
        for part in help.split("$ tidings ").filter(|part| !part.is_empty()) {
            assert!(part.contains("\nExample"), "{part}");
        }
        insta::assert_snapshot!(command, help);
    }
}
