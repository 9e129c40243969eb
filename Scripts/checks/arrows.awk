# Part of Inkstone. Licence: see LICENSE.
#
# Compares imports and uses of types with Scripts/arrows.txt and Package.swift; see Scripts/check-arrows.
# Input: arrows.txt, Package.swift, then all Swift files of Sources, Tests and Examples.

function fault(text) {
    print text
    faults++
}

# Reads one line of arrows.txt.
function readArrows(line,    parts, count, i, target, name) {
    sub(/#.*/, "", line)
    count = split(line, parts, " ")
    if (count == 0) return
    if (parts[1] == "system") {
        for (i = 2; i <= count; i++) isSystem[parts[i]] = 1
    } else if (parts[1] == "standard-members") {
        for (i = 2; i <= count; i++) isStandard[parts[i]] = 1
    } else if (parts[1] == "c-module") {
        name = parts[2]
        sub(/:$/, "", name)
        cModule[name] = 1
        for (i = 3; i <= count; i++) mayImportC[parts[i], name] = 1
    } else if (parts[1] == "target") {
        target = parts[2]
        sub(/:$/, "", target)
        targets[++targetCount] = target
        listed[target] = targetCount
        for (i = 3; i <= count; i++) allowed[target, parts[i]] = 1
    } else if (parts[1] == "layers") {
        target = parts[2]
        sub(/:$/, "", target)
        layered[target] = 1
        for (i = 3; i <= count; i++) {
            layer[target, parts[i]] = i
            layerName[target, i] = parts[i]
        }
        layerCount[target] = count
    } else {
        fault("Scripts/arrows.txt: '" parts[1] "' is not one of system, standard-members, c-module, target, layers")
    }
}

# The text between the bracket at `start` and its partner.
function enclosed(text, start,    depth, i, c) {
    depth = 0
    for (i = start; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(" || c == "[") depth++
        if (c == ")" || c == "]") depth--
        if (depth == 0) return substr(text, start + 1, i - start - 1)
    }
    return ""
}

function firstString(text) {
    if (!match(text, /"[^"]*"/)) return ""
    return substr(text, RSTART + 1, RLENGTH - 2)
}

# Reads names and dependencies of all targets from the text of Package.swift.
function readPackage(text,    body, name, list, item, keyword) {
    if (!match(text, /targets: \[[ ]*\.(target|systemLibrary|executableTarget)\(/)) return
    text = substr(text, RSTART + 9)
    while (match(text, /\.(target|executableTarget|testTarget|systemLibrary)\(/)) {
        keyword = substr(text, RSTART + 1, RLENGTH - 2)
        body = enclosed(text, RSTART + RLENGTH - 1)
        text = substr(text, RSTART + RLENGTH + length(body))
        name = firstString(body)
        isTarget[name] = 1
        if (keyword == "executableTarget") isProgram[name] = 1
        if (!match(body, /path: "[^"]*"/)) {
            folder = (keyword == "testTarget" ? "Tests/" : "Sources/") name
        } else {
            folder = substr(body, RSTART + 7, RLENGTH - 8)
        }
        targetAt[folder] = name
        if (!match(body, /dependencies: \[/)) continue
        list = enclosed(body, RSTART + RLENGTH - 1)
        while (match(list, /\.(product|target)\(|"[^"]*"/)) {
            if (substr(list, RSTART, 1) == "\"") {
                item = substr(list, RSTART + 1, RLENGTH - 2)
                list = substr(list, RSTART + RLENGTH)
            } else {
                body = enclosed(list, RSTART + RLENGTH - 1)
                list = substr(list, RSTART + RLENGTH + length(body))
                item = firstString(body)
            }
            declared[name, item] = 1
        }
    }
}

function startFile(    parts, count) {
    resetCode()
    depth = 0
    count = split(FILENAME, parts, "/")
    unit = targetAt[parts[1] "/" parts[2]]
    isSource = parts[1] == "Sources"
    unitFolder = count > 3 ? parts[3] : "."
    if (unit == "") {
        fault(FILENAME ": no target of Package.swift has this folder")
        return
    }
    if (isSource) {
        unitSeen[unit] = 1
        folderOf[FILENAME] = unitFolder
        unitOf[FILENAME] = unit
        files[++fileCount] = FILENAME
        seenFolder[unit, unitFolder] = FILENAME
    }
}

# Records a name of the top level, or `Outer.Inner` for a type inside an extension.
function declareType(name) {
    if (!((unit, name) in declaredIn)) declaredIn[unit, name] = FILENAME
}

# Records a member with its folder and file, and the extended type where an extension declares it.
function declareMember(name) {
    memberCount[unit, name]++
    memberFile[unit, name, memberCount[unit, name]] = FILENAME
    memberOf[unit, name, memberCount[unit, name]] = depth == 1 ? extended : "-"
}

# Imports, declarations of the top level and of extensions, and uses of names.
function readLine(text,    words, count, name, modifiers, before, previous) {
    if (text ~ /^[ ]*(@[A-Za-z_]+ +)*((public|package|internal|private|fileprivate) +)?import +/) {
        count = split(text, words, " ")
        name = words[count]
        sub(/\..*/, "", name)
        if (!((unit, name) in importedAt)) importedAt[unit, name] = FILENAME ":" FNR
        return
    }
    if (!isSource) return
    if (depth == 0) {
        extended = ""
        if (match(text, /^(.* )?extension +[A-Za-z_][A-Za-z_0-9.]*/)) {
            extended = substr(text, RSTART, RLENGTH)
            sub(/.* /, "", extended)
        }
    }
    if (match(text, /(^| )(struct|class|enum|actor|protocol|typealias|func|let|var|case) +[A-Za-z_][A-Za-z_0-9]*/)) {
        modifiers = substr(text, 1, RSTART)
        split(substr(text, RSTART, RLENGTH), words, " ")
        if (depth == 0) {
            if (modifiers !~ /private/ && words[1] != "case") declareType(words[2])
        } else {
            if (depth == 1 && extended != "" && words[1] ~ /^(struct|class|enum|actor|protocol|typealias)$/) {
                declareType(extended "." words[2])
            }
            declareMember(words[2])
        }
        text = modifiers " " substr(text, RSTART + RLENGTH)
    }
    previous = ""
    while (match(text, /[A-Za-z_][A-Za-z_0-9]*/)) {
        before = RSTART > 1 ? substr(text, RSTART - 1, 1) : ""
        name = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        if (before == ".") {
            use("." name)
            if (RSTART == 2 && previous != "") use(previous "." name)
        } else if (text !~ /^:/ || name !~ /^[a-z]/) {
            # An argument's label, `name:`, is not a use.
            use(name)
        }
        previous = name
    }
}

function use(name) {
    if ((FILENAME, name) in usedAt) return
    usedAt[FILENAME, name] = FNR
    uses[FILENAME] = uses[FILENAME] " " name
}

FILENAME == ARROWS { readArrows($0); next }
FILENAME == "Package.swift" {
    sub(/(^| )\/\/ .*/, "")
    package = package " " $0
    next
}
FNR == 1 {
    if (!packageRead) readPackage(package)
    packageRead = 1
    startFile()
}
{
    text = code($0)
    if (unit == "" || text ~ /^[ ]*$/) next
    readLine(text)
    depth += braces(text)
}

# Imports against Package.swift and the list.
function checkTargets(    pair, parts, i, target, name) {
    for (pair in importedAt) {
        split(pair, parts, SUBSEP)
        target = parts[1]
        name = parts[2]
        if (name in isSystem) continue
        if (name in cModule && !((target, name) in mayImportC)) {
            fault(importedAt[pair] ": " target " must not import the C module " name)
        }
        if (!((target, name) in declared)) {
            fault(importedAt[pair] ": " target " imports " name ", which Package.swift does not declare for it")
        }
        if (target in listed && !((target, name) in allowed)) {
            fault(importedAt[pair] ": Scripts/arrows.txt has no arrow from " target " to " name)
        }
    }
    for (pair in declared) {
        split(pair, parts, SUBSEP)
        # A program is a dependency of tests that run it.
        if (!(pair in importedAt) && !(parts[2] in isProgram)) {
            fault("Package.swift: " parts[1] " declares " parts[2] ", which none of its files imports")
        }
    }
    for (pair in allowed) {
        split(pair, parts, SUBSEP)
        if (!(pair in importedAt)) {
            fault("Scripts/arrows.txt has an arrow from " parts[1] " to " parts[2] ", which no file imports")
        }
        if (parts[2] in listed && listed[parts[2]] >= listed[parts[1]]) {
            fault("Scripts/arrows.txt: " parts[1] " is above " parts[2] ", but has an arrow to it")
        }
    }
    for (name in unitSeen) {
        if (!(name in listed)) fault("Scripts/arrows.txt: target " name " is missing")
    }
    for (i = 1; i <= targetCount; i++) {
        if (!(targets[i] in unitSeen)) fault("Scripts/arrows.txt: target " targets[i] " has no source files")
    }
}

# The file of a member that only extensions in other folders than their type's declare; "" where a file
# of the same folder or of a type's own folder declares one of that name as well.
function memberHome(target, name, folder,    i, file, type) {
    file = ""
    if (name in isStandard) return ""
    for (i = 1; i <= memberCount[target, name]; i++) {
        file = memberFile[target, name, i]
        type = memberOf[target, name, i]
        sub(/\..*/, "", type)
        if (folderOf[file] == folder || !((target, type) in declaredIn)) return ""
        if (folderOf[declaredIn[target, type]] == folderOf[file]) return ""
    }
    return file
}

# Uses of names between the folders of each target.
function checkLayers(    i, j, file, target, folder, count, words, name, home, homeFolder) {
    for (i = 1; i <= fileCount; i++) {
        file = files[i]
        target = unitOf[file]
        folder = folderOf[file]
        if (EDGES != "" ? target != EDGES : !(target in layered)) continue
        count = split(uses[file], words, " ")
        for (j = 1; j <= count; j++) {
            name = words[j]
            if ((target, name) in declaredIn) {
                home = declaredIn[target, name]
                homeFolder = folderOf[home]
            } else if (name ~ /^\./) {
                home = memberHome(target, substr(name, 2), folder)
                if (home == "") continue
                homeFolder = folderOf[home]
            } else {
                continue
            }
            if (homeFolder == folder) continue
            if (EDGES != "") {
                print folder " -> " homeFolder ": " file ":" usedAt[file, name] ": " name " (" home ")"
            } else if (layer[target, homeFolder] > layer[target, folder]) {
                fault(file ":" usedAt[file, name] ": uses " name " of the layer " homeFolder " above it (" home ")")
            }
        }
    }
}

# Every folder has a place in the order, and every place has a folder.
function checkFolders(    pair, parts, target, i, folders) {
    for (pair in seenFolder) {
        split(pair, parts, SUBSEP)
        folders[parts[1]]++
        if (parts[1] in layered && !(pair in layer)) {
            fault("Scripts/arrows.txt: layers " parts[1] ": the folder " parts[2] " is missing")
        }
    }
    for (target in folders) {
        if (folders[target] == 1 || target in layered) continue
        fault("Scripts/arrows.txt: no layers for the folders of " target)
    }
    for (target in layered) {
        for (i = 3; i <= layerCount[target]; i++) {
            if (!((target, layerName[target, i]) in seenFolder)) {
                fault("Scripts/arrows.txt: layers " target ": there is no folder " layerName[target, i])
            }
        }
    }
}

END {
    if (EDGES != "") {
        checkLayers()
        exit 0
    }
    checkTargets()
    checkFolders()
    checkLayers()
    exit faults > 0
}
