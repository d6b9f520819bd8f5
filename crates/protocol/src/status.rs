//! Names of HTTP statuses as they appear inside Graph's error messages.

use std::borrow::Cow;

/// The status's name in .NET's `HttpStatusCode`, as Graph prints it (`'Forbidden'`); the number if it
/// has none there.
pub fn status_name(status: u16) -> Cow<'static, str> {
    match known(status) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(status.to_string()),
    }
}

fn known(status: u16) -> Option<&'static str> {
    Some(match status {
        100..=299 => return success(status),
        300 => "MultipleChoices",
        301 => "MovedPermanently",
        302 => "Found",
        303 => "SeeOther",
        304 => "NotModified",
        305 => "UseProxy",
        306 => "Unused",
        307 => "TemporaryRedirect",
        308 => "PermanentRedirect",
        400..=499 => return client_error(status),
        500 => "InternalServerError",
        501 => "NotImplemented",
        502 => "BadGateway",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        505 => "HttpVersionNotSupported",
        506 => "VariantAlsoNegotiates",
        507 => "InsufficientStorage",
        508 => "LoopDetected",
        510 => "NotExtended",
        511 => "NetworkAuthenticationRequired",
        _ => return None,
    })
}

fn success(status: u16) -> Option<&'static str> {
    Some(match status {
        100 => "Continue",
        101 => "SwitchingProtocols",
        102 => "Processing",
        103 => "EarlyHints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "NonAuthoritativeInformation",
        204 => "NoContent",
        205 => "ResetContent",
        206 => "PartialContent",
        207 => "MultiStatus",
        208 => "AlreadyReported",
        226 => "IMUsed",
        _ => return None,
    })
}

fn client_error(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        402 => "PaymentRequired",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        407 => "ProxyAuthenticationRequired",
        408 => "RequestTimeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "LengthRequired",
        412 => "PreconditionFailed",
        413 => "RequestEntityTooLarge",
        414 => "RequestUriTooLong",
        415 => "UnsupportedMediaType",
        416 => "RequestedRangeNotSatisfiable",
        417 => "ExpectationFailed",
        421 => "MisdirectedRequest",
        422 => "UnprocessableEntity",
        423 => "Locked",
        424 => "FailedDependency",
        426 => "UpgradeRequired",
        428 => "PreconditionRequired",
        429 => "TooManyRequests",
        431 => "RequestHeaderFieldsTooLarge",
        451 => "UnavailableForLegalReasons",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::status_name;

    #[test]
    fn a_status_without_a_name_is_its_number() {
        assert_eq!(status_name(403), "Forbidden");
        assert_eq!(status_name(299), "299");
        assert_eq!(status_name(599), "599");
        assert_eq!(status_name(0), "0");
    }
}
