//! What a terminal may be shown.

use std::io::IsTerminal;

/// True if text may be coloured there: what is read by a program, or by somebody who has said `NO_COLOR`, is plain.
pub fn is_coloured(output: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    output.is_terminal() && !refused
}
