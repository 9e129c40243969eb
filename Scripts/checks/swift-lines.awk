# Part of Inkstone. Licence: see LICENSE.
#
# Reads Swift source line by line: code(line) returns the line without comments and string literals.
# Expressions inside string interpolations stay. Call resetCode() at the start of each file.

function resetCode() {
    top = 0
    kind[0] = "code"
    blockDepth = 0
}

function code(line,    out, at, token, rest, quote, found) {
    out = ""
    while (line != "") {
        if (blockDepth > 0) {
            if (!match(line, /\/\*|\*\//)) break
            blockDepth += substr(line, RSTART, 2) == "/*" ? 1 : -1
            line = substr(line, RSTART + 2)
            continue
        }
        if (kind[top] == "string") {
            if (!match(line, /["\\]/)) break
            at = RSTART
            rest = substr(line, at + 1)
            if (substr(line, at, 1) == "\\") {
                if (substr(rest, 1, length(hashes[top])) != hashes[top]) {
                    line = rest
                } else {
                    rest = substr(rest, length(hashes[top]) + 1)
                    if (substr(rest, 1, 1) == "(") {
                        top++
                        kind[top] = "code"
                        parentheses[top] = 1
                        out = out " "
                    }
                    line = substr(rest, 2)
                }
                continue
            }
            quote = (multiline[top] ? "\"\"\"" : "\"") hashes[top]
            if (substr(line, at, length(quote)) == quote) {
                line = substr(line, at + length(quote))
                top--
            } else {
                line = rest
            }
            continue
        }
        if (top > 0) found = match(line, /#*"|\/\/|\/\*|[()]/)
        else found = match(line, /#*"|\/\/|\/\*/)
        if (!found) {
            out = out line
            break
        }
        at = RSTART
        token = substr(line, at, RLENGTH)
        rest = substr(line, at + RLENGTH)
        out = out substr(line, 1, at - 1)
        if (token == "//") break
        if (token == "/*") {
            blockDepth = 1
        } else if (token == "(") {
            parentheses[top]++
            out = out token
        } else if (token == ")") {
            parentheses[top]--
            if (parentheses[top] == 0) {
                top--
                out = out " "
            } else {
                out = out token
            }
        } else {
            top++
            kind[top] = "string"
            hashes[top] = substr(token, 1, length(token) - 1)
            multiline[top] = substr(rest, 1, 2) == "\"\""
            if (multiline[top]) rest = substr(rest, 3)
            # The literal itself becomes a pair of quotes.
            out = out "\"\""
        }
        line = rest
    }
    if (kind[top] == "string" && !multiline[top]) top--
    return out
}

# The change of brace depth in a line of code.
function braces(text,    opened, closed) {
    opened = gsub(/[{]/, "{", text)
    closed = gsub(/[}]/, "}", text)
    return opened - closed
}
