# Part of Inkstone. Licence: see LICENSE.
#
# Reports Swift files and functions that are too long; see Scripts/check-sizes.

function endFile() {
    if (file != "" && lines > FILE_LIMIT && !(file in exempt)) {
        print file ": " lines " lines; at most " FILE_LIMIT " are allowed"
        faults++
    }
}

BEGIN {
    count = split(EXEMPT, names, " ")
    for (i = 1; i <= count; i++) exempt[names[i]] = 1
}

FNR == 1 {
    endFile()
    resetCode()
    file = FILENAME
    depth = 0
    open = 0
    waiting = ""
}
{
    lines = FNR
    text = code($0)
    # A declaration with a body; the brace may follow on a later line.
    if (match(text, /(^|[ ])(func +[^ (<]+|init[?]?[(<]|deinit|subscript[(<]|var +[A-Za-z_0-9]+)/)) {
        name = substr(text, RSTART, RLENGTH)
        if (name !~ /var / || text ~ /[{]$/) {
            waiting = name
            gsub(/^ +|[(<]$/, "", waiting)
            waitingLine = FNR
            waitingDepth = depth
        }
    }
    change = braces(text)
    if (waiting != "" && depth == waitingDepth && change > 0) {
        open++
        openName[open] = waiting
        openLine[open] = waitingLine
        openDepth[open] = depth
        waiting = ""
    } else if (waiting != "" && text ~ /[{].*[}]/) {
        waiting = ""
    }
    depth += change
    while (open > 0 && depth <= openDepth[open]) {
        length_ = FNR - openLine[open] + 1
        if (length_ > FUNCTION_LIMIT && !(file in exempt)) {
            print file ":" openLine[open] ": " openName[open] " has " length_ " lines; at most " FUNCTION_LIMIT " are allowed"
            faults++
        }
        open--
    }
}

END {
    endFile()
    exit faults > 0
}
