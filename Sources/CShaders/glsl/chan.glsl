// Part of Inkstone. Licence: see LICENSE.
//
// Mean and variance of parts, combined. Source: Chan, Golub and LeVeque, "Updating formulae and a
// pairwise algorithm for computing sample variances" (1979).

/// Number of values, their mean, and the sum of their squared distances from it.
struct Moments {
    float mean;
    float squares;
    float count;
};

Moments combined(Moments a, Moments b) {
    const float count = a.count + b.count;
    if (count == 0.0) return a;
    const float delta = b.mean - a.mean, weight = b.count / count;
    return Moments(a.mean + delta * weight,
                   a.squares + b.squares + delta * delta * a.count * weight, count);
}
