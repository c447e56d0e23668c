//! A metric, and the macro that defines a struct of the status together with its metrics.

use jiff::Timestamp;

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// A metric with its samples; one without samples is not rendered.
#[derive(Debug)]
pub(crate) struct Metric {
    /// The name, without prefix and without the `_total` of a counter.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    pub(crate) samples: Vec<Sample>,
}

/// A value, with a label if the metric has several.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) label: Option<(&'static str, String)>,
    pub(crate) value: String,
}

impl Metric {
    pub(crate) fn counter(name: &'static str, help: &'static str, value: &impl Figure) -> Self {
        Self { name, kind: Kind::Counter, help: help.trim_start(), samples: value.samples() }
    }

    pub(crate) fn gauge(name: &'static str, help: &'static str, value: &impl Figure) -> Self {
        Self { kind: Kind::Gauge, ..Self::counter(name, help, value) }
    }
}

impl Sample {
    /// Returns a sample with a label.
    pub(crate) fn labelled(label: &'static str, label_value: impl Into<String>, value: u64) -> Self {
        Self { label: Some((label, label_value.into())), value: value.to_string() }
    }
}

/// A value that a metric can have.
pub(crate) trait Figure {
    fn samples(&self) -> Vec<Sample>;
}

impl Figure for u64 {
    fn samples(&self) -> Vec<Sample> {
        vec![Sample { label: None, value: self.to_string() }]
    }
}

impl Figure for Option<u64> {
    fn samples(&self) -> Vec<Sample> {
        self.iter().flat_map(u64::samples).collect()
    }
}

impl Figure for Timestamp {
    /// Returns the time in seconds since 1970, exact to the microsecond until the year 2255.
    fn samples(&self) -> Vec<Sample> {
        vec![Sample { label: None, value: (self.as_microsecond() as f64 / 1e6).to_string() }]
    }
}

/// Defines a struct and the metrics of its fields.
///
/// A field followed by `=> counter "name"` or `=> gauge "name"` is a metric, and its doc comment is the HELP text. A field
/// followed by `=> metrics` is a struct that this macro defines, and has metrics of its own.
macro_rules! with_metrics {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $help:literal])+
                $(#[serde($($serde:tt)*)])?
                pub $field:ident: $type:ty $(=> $kind:ident $($metric:literal)?)?,
            )*
        }
    ) => {
        $(#[$attribute])*
        pub struct $name {
            $($(#[doc = $help])+ $(#[serde($($serde)*)])? pub $field: $type,)*
        }

        impl $name {
            /// Appends the metrics, in the order of the fields.
            pub(crate) fn add_metrics(&self, metrics: &mut Vec<$crate::metrics::metric::Metric>) {
                $(with_metrics!(@field metrics, self.$field, concat!($($help),+) $(, $kind $($metric)?)?);)*
            }
        }
    };
    (@field $metrics:ident, $value:expr, $help:expr) => {};
    (@field $metrics:ident, $value:expr, $help:expr, metrics) => {
        $value.add_metrics($metrics)
    };
    (@field $metrics:ident, $value:expr, $help:expr, $kind:ident $name:literal) => {
        $metrics.push($crate::metrics::metric::Metric::$kind($name, $help, &$value))
    };
}

pub(crate) use with_metrics;
