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
    for command in ["dev", "serve", "listen"] {
        insta::assert_snapshot!(command, help(Some(command)));
    }
}
