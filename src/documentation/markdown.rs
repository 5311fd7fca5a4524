//! As much of Markdown as the pages use: fences, headings, code, links.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use super::{files, root};

/// A page, its path counted from the root of the repository.
pub(super) struct Page {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A fenced block.
pub(super) struct Block {
    /// The word behind the fence.
    pub(super) language: String,
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) text: String,
}

/// Every page of the repository.
pub(super) fn pages() -> Vec<Page> {
    let root = root();
    let pages: Vec<_> = files(&root, ".md")
        .into_iter()
        .map(|path| Page {
            text: fs::read_to_string(&path).expect("a page"),
            path: path.strip_prefix(&root).expect("a path below").to_owned(),
        })
        .collect();
    assert!(pages.len() >= 8, "{} pages", pages.len());
    pages
}

pub(super) fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path));
    Page {
        path: path.into(),
        text: text.unwrap_or_else(|error| panic!("there is no {path}: {error}")),
    }
}

impl Page {
    pub(super) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The lines with their numbers, and whether each belongs to a fenced block.
    fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let mut fenced = false;
        self.text.lines().enumerate().map(move |(index, line)| {
            let fence = line.trim_start().starts_with("```");
            let inside = fenced || fence;
            fenced ^= fence;
            (index + 1, line, inside)
        })
    }

    /// The lines outside of fenced blocks.
    pub(super) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines()
            .filter(|line| !line.2)
            .map(|line| (line.0, line.1))
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        for (number, line, _) in self.lines().filter(|line| line.2) {
            match line.trim_start().strip_prefix("```") {
                Some(language) if !open => blocks.push(Block {
                    language: language.trim().to_owned(),
                    line: number + 1,
                    text: String::new(),
                }),
                Some(_) => {}
                None => {
                    let block = blocks.last_mut().expect("a fence before it");
                    block.text.push_str(line);
                    block.text.push('\n');
                    continue;
                }
            }
            open = !open;
        }
        assert!(!open, "{}: a fence is not closed", self.path.display());
        blocks
    }

    /// Every piece of `code` in the prose.
    pub(super) fn code(&self) -> Vec<(usize, &str)> {
        let mut spans = Vec::new();
        for (number, line) in self.prose() {
            let code = line.split('`').skip(1).step_by(2);
            spans.extend(code.map(|code| (number, code)));
        }
        spans
    }

    /// The headings as they are written, without their marks.
    pub(super) fn headings(&self) -> Vec<(usize, &str)> {
        let heading = |line: &'_ str| {
            let title = line.trim_start_matches('#');
            let depth = line.len() - title.len();
            ((1..=6).contains(&depth) && title.starts_with(' ')).then_some((depth, title.len()))
        };
        self.prose()
            .filter_map(|(_, line)| {
                let (depth, length) = heading(line)?;
                Some((depth, line[line.len() - length..].trim()))
            })
            .collect()
    }

    /// What a link can name of this page: GitHub's rule.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut anchors = Vec::new();
        for (_, title) in self.headings() {
            let slug = slug(title);
            let times = seen.entry(slug.clone()).or_default();
            anchors.push(match *times {
                0 => slug,
                times => format!("{slug}-{times}"),
            });
            *times += 1;
        }
        anchors
    }

    /// Where the links of the prose lead.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            let line = without_code(line);
            for (at, _) in line.match_indices("](") {
                let rest = &line[at + 2..];
                let end = rest.find(')').unwrap_or(rest.len());
                links.push((number, rest[..end].to_owned()));
            }
            if let Some(rest) = line.strip_prefix('[')
                && let Some((_, target)) = rest.split_once("]: ")
            {
                links.push((number, target.trim().to_owned()));
            }
        }
        links
    }
}

/// The line with nothing between its backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

fn slug(title: &str) -> String {
    // Of a link its text counts.
    let mut text = String::new();
    let mut rest = title;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn a_page_is_read_as_github_reads_it() {
    let page = Page {
        path: "docs/x.md".into(),
        text: "# A `code` heading, 100 MB/s\n[to](a.md#b) `[no](c.md)`\n```sh\n# no heading\nx [y](z)\n```\n## Twice\n## Twice\n"
            .to_owned(),
    };
    assert_eq!(
        page.anchors(),
        ["a-code-heading-100-mbs", "twice", "twice-1"]
    );
    assert_eq!(page.links(), [(2, "a.md#b".to_owned())]);
    assert_eq!(page.code(), [(1, "code"), (2, "[no](c.md)")]);
    let blocks = page.blocks();
    let of = |block: &Block| (block.language.clone(), block.line, block.text.clone());
    let all: Vec<_> = blocks.iter().map(of).collect();
    assert_eq!(
        all,
        [("sh".to_owned(), 4, "# no heading\nx [y](z)\n".to_owned())]
    );
}
