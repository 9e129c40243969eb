// Part of Inkstone. Licence: see LICENSE.

#include "page.h"

// An array literal of these bytes costs the Swift compiler half a minute; #embed costs nothing.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "../Gateway/Page/index.html"
};
static const unsigned char style_css[] = {
#embed "../Gateway/Page/style.css"
};
static const unsigned char views_css[] = {
#embed "../Gateway/Page/views.css"
};
static const unsigned char app_js[] = {
#embed "../Gateway/Page/app.js"
};
static const unsigned char api_js[] = {
#embed "../Gateway/Page/api.js"
};
static const unsigned char benchmarks_js[] = {
#embed "../Gateway/Page/benchmarks.js"
};
static const unsigned char clipboard_js[] = {
#embed "../Gateway/Page/clipboard.js"
};
static const unsigned char compare_js[] = {
#embed "../Gateway/Page/compare.js"
};
static const unsigned char completion_js[] = {
#embed "../Gateway/Page/completion.js"
};
static const unsigned char connection_js[] = {
#embed "../Gateway/Page/connection.js"
};
static const unsigned char drop_js[] = {
#embed "../Gateway/Page/drop.js"
};
static const unsigned char forecast_js[] = {
#embed "../Gateway/Page/forecast.js"
};
static const unsigned char gallery_js[] = {
#embed "../Gateway/Page/gallery.js"
};
static const unsigned char hints_js[] = {
#embed "../Gateway/Page/hints.js"
};
static const unsigned char language_js[] = {
#embed "../Gateway/Page/language.js"
};
static const unsigned char loras_js[] = {
#embed "../Gateway/Page/loras.js"
};
static const unsigned char mask_js[] = {
#embed "../Gateway/Page/mask.js"
};
static const unsigned char metrics_js[] = {
#embed "../Gateway/Page/metrics.js"
};
static const unsigned char pictures_js[] = {
#embed "../Gateway/Page/pictures.js"
};
static const unsigned char progress_js[] = {
#embed "../Gateway/Page/progress.js"
};
static const unsigned char recall_js[] = {
#embed "../Gateway/Page/recall.js"
};
static const unsigned char runner_js[] = {
#embed "../Gateway/Page/runner.js"
};
static const unsigned char settings_js[] = {
#embed "../Gateway/Page/settings.js"
};
static const unsigned char seeds_js[] = {
#embed "../Gateway/Page/seeds.js"
};
static const unsigned char sheet_js[] = {
#embed "../Gateway/Page/sheet.js"
};
static const unsigned char sizes_js[] = {
#embed "../Gateway/Page/sizes.js"
};
static const unsigned char source_js[] = {
#embed "../Gateway/Page/source.js"
};
static const unsigned char stage_js[] = {
#embed "../Gateway/Page/stage.js"
};
static const unsigned char status_js[] = {
#embed "../Gateway/Page/status.js"
};
static const unsigned char store_js[] = {
#embed "../Gateway/Page/store.js"
};
static const unsigned char views_js[] = {
#embed "../Gateway/Page/views.js"
};
static const unsigned char words_js[] = {
#embed "../Gateway/Page/words.js"
};
static const unsigned char en_json[] = {
#embed "../Gateway/Page/en.json"
};
static const unsigned char zh_json[] = {
#embed "../Gateway/Page/zh.json"
};
static const unsigned char openapi_json[] = {
#embed "../Gateway/Page/openapi.json"
};
static const unsigned char icon_svg[] = {
#embed "../Gateway/Page/icon.svg"
};
static const unsigned char facts_js[] = {
#embed "../Gateway/Page/facts.js"
};
static const unsigned char fields_js[] = {
#embed "../Gateway/Page/fields.js"
};
static const unsigned char infotext_js[] = {
#embed "../Gateway/Page/infotext.js"
};
static const unsigned char inputs_js[] = {
#embed "../Gateway/Page/inputs.js"
};
static const unsigned char keep_js[] = {
#embed "../Gateway/Page/keep.js"
};
static const unsigned char keys_js[] = {
#embed "../Gateway/Page/keys.js"
};
static const unsigned char messages_js[] = {
#embed "../Gateway/Page/messages.js"
};
static const unsigned char queue_js[] = {
#embed "../Gateway/Page/queue.js"
};
static const unsigned char strip_js[] = {
#embed "../Gateway/Page/strip.js"
};
static const unsigned char tell_js[] = {
#embed "../Gateway/Page/tell.js"
};
static const unsigned char work_js[] = {
#embed "../Gateway/Page/work.js"
};
static const unsigned char icon_new_svg[] = {
#embed "../Gateway/Page/icon-new.svg"
};
static const unsigned char more_js[] = {
#embed "../Gateway/Page/more.js"
};
static const unsigned char more_css[] = {
#embed "../Gateway/Page/more.css"
};
static const unsigned char more_en_json[] = {
#embed "../Gateway/Page/more-en.json"
};
static const unsigned char more_zh_json[] = {
#embed "../Gateway/Page/more-zh.json"
};
static const unsigned char dom_js[] = {
#embed "../Gateway/Page/dom.js"
};
static const unsigned char control_js[] = {
#embed "../Gateway/Page/control.js"
};
static const unsigned char sampling_js[] = {
#embed "../Gateway/Page/sampling.js"
};
static const unsigned char actions_js[] = {
#embed "../Gateway/Page/actions.js"
};
static const unsigned char viewer_js[] = {
#embed "../Gateway/Page/viewer.js"
};
static const unsigned char details_js[] = {
#embed "../Gateway/Page/details.js"
};
static const unsigned char gallery_css[] = {
#embed "../Gateway/Page/gallery.css"
};
static const unsigned char zip_js[] = {
#embed "../Gateway/Page/zip.js"
};
static const unsigned char mask_css[] = {
#embed "../Gateway/Page/mask.css"
};
static const unsigned char styles_js[] = {
#embed "../Gateway/Page/styles.js"
};
static const unsigned char modes_js[] = {
#embed "../Gateway/Page/modes.js"
};
static const unsigned char grid_js[] = {
#embed "../Gateway/Page/grid.js"
};

#define FILE_OF_PAGE(path, type, bytes) {path, type, bytes, sizeof(bytes)}

static const page_file files[] = {
    FILE_OF_PAGE("", "text/html; charset=utf-8", index_html),
    FILE_OF_PAGE("assets/style.css", "text/css; charset=utf-8", style_css),
    FILE_OF_PAGE("assets/views.css", "text/css; charset=utf-8", views_css),
    FILE_OF_PAGE("assets/app.js", "text/javascript; charset=utf-8", app_js),
    FILE_OF_PAGE("assets/api.js", "text/javascript; charset=utf-8", api_js),
    FILE_OF_PAGE("assets/benchmarks.js", "text/javascript; charset=utf-8", benchmarks_js),
    FILE_OF_PAGE("assets/clipboard.js", "text/javascript; charset=utf-8", clipboard_js),
    FILE_OF_PAGE("assets/compare.js", "text/javascript; charset=utf-8", compare_js),
    FILE_OF_PAGE("assets/completion.js", "text/javascript; charset=utf-8", completion_js),
    FILE_OF_PAGE("assets/connection.js", "text/javascript; charset=utf-8", connection_js),
    FILE_OF_PAGE("assets/drop.js", "text/javascript; charset=utf-8", drop_js),
    FILE_OF_PAGE("assets/forecast.js", "text/javascript; charset=utf-8", forecast_js),
    FILE_OF_PAGE("assets/gallery.js", "text/javascript; charset=utf-8", gallery_js),
    FILE_OF_PAGE("assets/hints.js", "text/javascript; charset=utf-8", hints_js),
    FILE_OF_PAGE("assets/language.js", "text/javascript; charset=utf-8", language_js),
    FILE_OF_PAGE("assets/loras.js", "text/javascript; charset=utf-8", loras_js),
    FILE_OF_PAGE("assets/mask.js", "text/javascript; charset=utf-8", mask_js),
    FILE_OF_PAGE("assets/metrics.js", "text/javascript; charset=utf-8", metrics_js),
    FILE_OF_PAGE("assets/pictures.js", "text/javascript; charset=utf-8", pictures_js),
    FILE_OF_PAGE("assets/progress.js", "text/javascript; charset=utf-8", progress_js),
    FILE_OF_PAGE("assets/recall.js", "text/javascript; charset=utf-8", recall_js),
    FILE_OF_PAGE("assets/runner.js", "text/javascript; charset=utf-8", runner_js),
    FILE_OF_PAGE("assets/settings.js", "text/javascript; charset=utf-8", settings_js),
    FILE_OF_PAGE("assets/seeds.js", "text/javascript; charset=utf-8", seeds_js),
    FILE_OF_PAGE("assets/sheet.js", "text/javascript; charset=utf-8", sheet_js),
    FILE_OF_PAGE("assets/sizes.js", "text/javascript; charset=utf-8", sizes_js),
    FILE_OF_PAGE("assets/source.js", "text/javascript; charset=utf-8", source_js),
    FILE_OF_PAGE("assets/stage.js", "text/javascript; charset=utf-8", stage_js),
    FILE_OF_PAGE("assets/status.js", "text/javascript; charset=utf-8", status_js),
    FILE_OF_PAGE("assets/store.js", "text/javascript; charset=utf-8", store_js),
    FILE_OF_PAGE("assets/views.js", "text/javascript; charset=utf-8", views_js),
    FILE_OF_PAGE("assets/words.js", "text/javascript; charset=utf-8", words_js),
    FILE_OF_PAGE("assets/en.json", "application/json; charset=utf-8", en_json),
    FILE_OF_PAGE("assets/zh.json", "application/json; charset=utf-8", zh_json),
    FILE_OF_PAGE("api/openapi.json", "application/json; charset=utf-8", openapi_json),
    FILE_OF_PAGE("assets/icon.svg", "image/svg+xml", icon_svg),
    FILE_OF_PAGE("assets/facts.js", "text/javascript; charset=utf-8", facts_js),
    FILE_OF_PAGE("assets/fields.js", "text/javascript; charset=utf-8", fields_js),
    FILE_OF_PAGE("assets/infotext.js", "text/javascript; charset=utf-8", infotext_js),
    FILE_OF_PAGE("assets/inputs.js", "text/javascript; charset=utf-8", inputs_js),
    FILE_OF_PAGE("assets/keep.js", "text/javascript; charset=utf-8", keep_js),
    FILE_OF_PAGE("assets/keys.js", "text/javascript; charset=utf-8", keys_js),
    FILE_OF_PAGE("assets/messages.js", "text/javascript; charset=utf-8", messages_js),
    FILE_OF_PAGE("assets/queue.js", "text/javascript; charset=utf-8", queue_js),
    FILE_OF_PAGE("assets/strip.js", "text/javascript; charset=utf-8", strip_js),
    FILE_OF_PAGE("assets/tell.js", "text/javascript; charset=utf-8", tell_js),
    FILE_OF_PAGE("assets/work.js", "text/javascript; charset=utf-8", work_js),
    FILE_OF_PAGE("assets/icon-new.svg", "image/svg+xml", icon_new_svg),
    FILE_OF_PAGE("assets/more.js", "text/javascript; charset=utf-8", more_js),
    FILE_OF_PAGE("assets/more.css", "text/css; charset=utf-8", more_css),
    FILE_OF_PAGE("assets/more-en.json", "application/json; charset=utf-8", more_en_json),
    FILE_OF_PAGE("assets/more-zh.json", "application/json; charset=utf-8", more_zh_json),
    FILE_OF_PAGE("assets/dom.js", "text/javascript; charset=utf-8", dom_js),
    FILE_OF_PAGE("assets/control.js", "text/javascript; charset=utf-8", control_js),
    FILE_OF_PAGE("assets/sampling.js", "text/javascript; charset=utf-8", sampling_js),
    FILE_OF_PAGE("assets/actions.js", "text/javascript; charset=utf-8", actions_js),
    FILE_OF_PAGE("assets/viewer.js", "text/javascript; charset=utf-8", viewer_js),
    FILE_OF_PAGE("assets/details.js", "text/javascript; charset=utf-8", details_js),
    FILE_OF_PAGE("assets/gallery.css", "text/css; charset=utf-8", gallery_css),
    FILE_OF_PAGE("assets/zip.js", "text/javascript; charset=utf-8", zip_js),
    FILE_OF_PAGE("assets/mask.css", "text/css; charset=utf-8", mask_css),
    FILE_OF_PAGE("assets/styles.js", "text/javascript; charset=utf-8", styles_js),
    FILE_OF_PAGE("assets/modes.js", "text/javascript; charset=utf-8", modes_js),
    FILE_OF_PAGE("assets/grid.js", "text/javascript; charset=utf-8", grid_js),
};

const page_file *page_files(size_t *count) {
    *count = sizeof(files) / sizeof(files[0]);
    return files;
}
