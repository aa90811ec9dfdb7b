//! The parameters of a path: the parts that a route names in braces, as the client gave them.

use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::refusal;

/// The parameters of a path, decoded.
#[derive(Debug)]
pub struct PathParams {
    /// The path of the route, which has the names.
    route: &'static str,
    /// Their values, in the order of the path.
    values: Vec<Box<str>>,
}

impl PathParams {
    /// The parameters of a path that was found at the path of a route.
    ///
    /// # Errors
    /// A value is not UTF-8 after decoding, so it names nothing (404).
    pub fn read(route: &'static str, found: &matchit::Params<'_, '_>) -> Result<PathParams, Problem> {
        let decode = |value| percent_decode_str(value).decode_utf8().ok().map(|value| value.into());
        let values = found.iter().map(|(_, value)| decode(value)).collect::<Option<Vec<_>>>();
        values.map(|values| PathParams { route, values }).ok_or_else(refusal::no_such_path)
    }

    /// The value of a parameter; `None` if the route has no such parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let names = self.route.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let position = names.map(|known| known.trim_start_matches('*')).position(|known| known == name)?;
        self.values.get(position).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Result<PathParams, Problem> {
        const ROUTE: &str = "/v1/workspaces/{workspace}/charges/{charge}";
        let mut paths = matchit::Router::new();
        paths.insert(ROUTE, ()).expect("it is a path");
        PathParams::read(ROUTE, &paths.at(path).expect("the path is of this form").params)
    }

    #[test]
    fn a_parameter_is_found_by_its_name_and_decoded() {
        let params = read("/v1/workspaces/acme%3Aeu/charges/ch_1").expect("it is UTF-8");
        assert_eq!(params.get("workspace"), Some("acme:eu"));
        assert_eq!(params.get("charge"), Some("ch_1"));
        assert_eq!(params.get("grant"), None);
    }

    #[test]
    fn a_parameter_that_is_no_utf_8_names_nothing() {
        assert_eq!(read("/v1/workspaces/%ff/charges/ch_1").expect_err("it is not UTF-8").code.status(), 404);
    }
}
