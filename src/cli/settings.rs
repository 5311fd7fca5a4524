//! `calve config`.

use super::args::ConfigArgs;
use crate::config;
use crate::error::Result;

pub(super) fn run(args: &ConfigArgs) -> Result<()> {
    if let Some(name) = &args.explain {
        println!("{}", config::explain(name)?.trim_end());
        return Ok(());
    }
    let settings = config::load(&args.settings.layers(Vec::new())?)?;
    let effective = settings.effective();
    let width = effective.iter().map(|e| e.key.len()).max().unwrap_or(0);
    for setting in &effective {
        let value = setting.value.as_deref().unwrap_or("-");
        println!("{:width$}  {value}  ({})", setting.key, setting.layer);
    }
    Ok(())
}
