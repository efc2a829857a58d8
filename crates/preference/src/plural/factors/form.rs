//! How the score of an item depends on its point and a user's.

use serde::{Deserialize, Serialize};

/// The score of an item's point `f` for a user's point `z`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// `scale ⟨f, z⟩`
    Dot { scale: f64 },
    /// `−‖f − z‖`
    Distance,
    /// `−‖f − z‖²`
    SquaredDistance,
    /// `kappa cos(f, z)`, 0 of a zero.
    Angle { kappa: f64 },
}

impl Form {
    /// The score.
    pub(super) fn score(self, f: &[f64], z: &[f64]) -> f64 {
        match self {
            Self::Dot { scale } => scale * dot(f, z),
            Self::Distance => -squared_distance(f, z).sqrt(),
            Self::SquaredDistance => -squared_distance(f, z),
            Self::Angle { kappa } => match (dot(f, f) * dot(z, z)).sqrt() {
                0.0 => 0.0,
                norms => kappa * dot(f, z) / norms,
            },
        }
    }

    /// Adds `slope` times the derivatives of the score to those by `f` and by `z`.
    pub(super) fn pull_back(self, f: &[f64], z: &[f64], slope: f64, by_f: &mut [f64], by_z: &mut [f64]) {
        match self {
            Self::Dot { scale } => {
                let slope = slope * scale;
                for l in 0..f.len() {
                    by_f[l] += slope * z[l];
                    by_z[l] += slope * f[l];
                }
            }
            Self::Distance | Self::SquaredDistance => {
                let slope = match self {
                    Self::SquaredDistance => 2.0 * slope,
                    // Where they meet, the distance has a kink; its subgradient 0.
                    _ => match squared_distance(f, z).sqrt() {
                        0.0 => 0.0,
                        distance => slope / distance,
                    },
                };
                for l in 0..f.len() {
                    let away = slope * (f[l] - z[l]);
                    by_f[l] -= away;
                    by_z[l] += away;
                }
            }
            Self::Angle { kappa } => {
                let (ff, zz) = (dot(f, f), dot(z, z));
                let norms = (ff * zz).sqrt();
                if norms == 0.0 {
                    return;
                }
                let cosine = dot(f, z) / norms;
                let slope = slope * kappa;
                for l in 0..f.len() {
                    by_f[l] += slope * (z[l] / norms - cosine * f[l] / ff);
                    by_z[l] += slope * (f[l] / norms - cosine * z[l] / zz);
                }
            }
        }
    }
}

/// `⟨a, b⟩`
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::{super::testing::FORMS, *};

    #[test]
    fn scores_by_hand() {
        let (f, z) = ([3.0, 4.0], [0.0, 0.0]);
        assert_eq!(FORMS.map(|form| form.score(&f, &z)), [0.0, -5.0, -25.0, 0.0]);
        let z = [4.0, 3.0];
        assert_eq!(Form::Dot { scale: 0.5 }.score(&f, &z), 12.0);
        assert!((Form::Angle { kappa: 2.0 }.score(&f, &z) - 2.0 * 24.0 / 25.0).abs() < 1e-15);
        assert!((Form::Distance.score(&f, &z) + 2f64.sqrt()).abs() < 1e-15);
        // Where points meet or vanish, slopes are 0 and not NaN.
        for (form, z) in [(Form::Distance, f), (Form::Angle { kappa: 1.0 }, [0.0, 0.0])] {
            let (mut by_f, mut by_z) = ([0.0; 2], [0.0; 2]);
            form.pull_back(&f, &z, 1.0, &mut by_f, &mut by_z);
            assert_eq!((by_f, by_z), ([0.0; 2], [0.0; 2]));
        }
    }

    #[test]
    fn slopes_are_derivatives_of_every_form() {
        let (f, z) = ([0.7, -1.2, 0.4], [1.5, 0.3, -0.8]);
        let at = [f, z].concat();
        for form in FORMS {
            let (mut by_f, mut by_z) = ([100.0; 3], [200.0; 3]);
            form.pull_back(&f, &z, 2.5, &mut by_f, &mut by_z);
            let slopes = [by_f.map(|slope| slope - 100.0), by_z.map(|slope| slope - 200.0)].concat();
            check_gradient(|x| 2.5 * form.score(&x[..3], &x[3..]), &at, &slopes).unwrap();
        }
    }
}
