// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import Testing

/// Fields that would change the image are done or refused by name; clients' defaults are accepted.
@Suite("Unsupported fields", .timeLimit(.minutes(5)))
struct UnsupportedFieldTests {
    /// What the package webuiapi sends with every request for images, other than what a test changes.
    private static let defaults = """
        "enable_hr": false, "hr_scale": 2, "hr_upscaler": "Latent", "hr_second_pass_steps": 0,
        "hr_resize_x": 0, "hr_resize_y": 0, "hr_checkpoint_name": null, "hr_sampler_name": null,
        "hr_scheduler": null, "hr_prompt": "", "hr_negative_prompt": "", "denoising_strength": 0.7,
        "firstphase_width": 0, "firstphase_height": 0, "styles": [], "seed": -1, "subseed": -1,
        "subseed_strength": 0.0, "seed_resize_from_h": 0, "seed_resize_from_w": -1,
        "batch_size": 1, "n_iter": 1, "cfg_scale": 1.0, "restore_faces": false, "tiling": false,
        "do_not_save_samples": false, "do_not_save_grid": false, "negative_prompt": "", "eta": 1.0,
        "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1, "override_settings": {},
        "override_settings_restore_afterwards": true, "sampler_name": "Euler a",
        "scheduler": "automatic", "sampler_index": "Euler a", "script_name": null,
        "script_args": [], "send_images": true, "save_images": false, "infotext": null,
        "refiner_checkpoint": null, "refiner_switch_at": null, "disable_extra_networks": false,
        "distilled_cfg_scale": 3.5, "comments": null, "force_task_id": null
        """
    private static let imageDefaults = """
        "resize_mode": 0, "image_cfg_scale": 1.5, "mask_blur": 4, "inpainting_fill": 0,
        "inpaint_full_res": true, "inpaint_full_res_padding": 0, "inpainting_mask_invert": 0,
        "initial_noise_multiplier": 1, "include_init_images": false, "mask": null,
        "latent_mask": null
        """

    /// A request with the defaults of webuiapi and other fields.
    private func request(_ fields: String, _ more: String = "") -> String {
        var object = Self.defaults
        for text in more.isEmpty ? [fields] : [more, fields] where !text.isEmpty {
            object += ", \(text)"
        }
        return "{\"prompt\": \"p\", \(object)}"
    }

    @Test(
        "of AUTOMATIC1111: the defaults of its clients, and scripts that are turned off",
        arguments: [
            "", #""alwayson_scripts": {}"#,
            #""alwayson_scripts": {"ADetailer": {"args": [false]}, "animatediff": {"args": []}}"#,
            #""alwayson_scripts": {"ControlNet": {"args": [{"enabled": false, "module": "canny"}]}}"#,
            #""alwayson_scripts": {"ADetailer": {"args": [false, {"ad_model": "m"}]}}"#,
            #""alwayson_scripts": {"ControlNet": {"args": [null, {}]}}"#,
        ])
    func accepted(fields: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            // Of equal keys the first counts.
            let first = fields.isEmpty ? "" : "\(fields), "
            let answer = try await client.post(
                "/sdapi/v1/txt2img", "{\(first)\(request("").dropFirst())")
            #expect(answer.status == .ok, "\(answer.text)")
            let settings =
                #""override_settings": {"sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1}"#
            let body = request("").replacing(#""override_settings": {}"#, with: settings)
            #expect(try await client.post("/sdapi/v1/txt2img", body).status == .ok)
        }
    }

    @Test(
        "of AUTOMATIC1111 are refused",
        arguments: [
            (#""tiling": true"#, "tiling"),
            (#""restore_faces": true"#, "restore_faces"), (#""styles": ["a"]"#, "styles"),
            (#""script_name": "X/Y/Z plot""#, "script_name"),
            (#""script_args": [1]"#, "script_args"),
            (#""s_churn": 0.5"#, "s_churn"),
            (#""enable_hr": true, "hr_prompt": "other""#, "hr_prompt"),
            (#""enable_hr": true, "hr_checkpoint_name": "x""#, "hr_checkpoint_name"),
            (#""enable_hr": true, "hr_cfg": 3"#, "hr_cfg"),
            (#""timesteps": [999, 500]"#, "timesteps"),
            (#""refiner_checkpoint": "r.safetensors""#, "refiner_checkpoint"),
            (#""infotext": "a\nSteps: 3""#, "infotext"),
            (#""disable_extra_networks": true"#, "disable_extra_networks"),
            (#""override_settings": {"sd_vae": "x.pt"}"#, "sd_vae"),
            (#""override_settings": {"eta_noise_seed_delta": 31337}"#, "eta_noise_seed_delta"),
            (
                #""alwayson_scripts": {"ADetailer": {"args": [true, {"ad_model": "m"}]}}"#,
                "alwayson_scripts"
            ),
            (#""alwayson_scripts": {"roop": {"args": {"img": "x"}}}"#, "alwayson_scripts"),
            (#""controlnet_units": [{"module": "canny"}]"#, "controlnet_units"),
        ])
    func refused(field: String, name: String) async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            // Of equal keys the first counts.
            let answer = try await client.post(
                "/sdapi/v1/txt2img", "{\(field), \(request("").dropFirst())")
            #expect(answer.status == .unprocessableContent)
            let error = try answer.error()
            #expect(error["code"] == "unsupported_parameter", "\(error)")
            #expect(error["param"] == name)
        }
        #expect(generator.requests.isEmpty)
    }

    @Test(
        "of img2img: defaults are accepted, other images and masks are refused",
        arguments: [
            ("", nil), (#""init_images": ["IMAGE", "IMAGE"]"#, "init_images"),
            (#""enable_hr": true"#, "enable_hr"),
            (#""inpainting_fill": 2"#, "inpainting_fill"), (#""mask_blur": 12"#, "mask_blur"),
            (#""latent_mask": "IMAGE""#, "latent_mask"), (#""resize_mode": 2"#, "resize_mode"),
            (#""initial_noise_multiplier": 1.1"#, "initial_noise_multiplier"),
        ] as [(String, String?)])
    func imageToImage(field: String, name: String?) async throws {
        let picture = try RGBImage(width: 32, height: 16, filledWith: (1, 2, 3))
        let file = Data(try ImageEncoder.encode(picture)).base64EncodedString()
        try await withGateway(try FakeGenerator()) { client in
            let first = field.isEmpty ? "" : "\(field), "
            let rest = request(#""init_images": ["IMAGE"]"#, Self.imageDefaults)
            let answer = try await client.post(
                "/sdapi/v1/img2img",
                "{\(first)\(rest.dropFirst())".replacing("IMAGE", with: file))
            #expect(answer.status == (name == nil ? .ok : .unprocessableContent), "\(answer.text)")
            if let name { #expect(try answer.error()["param"] == name) }
        }
    }

    @Test(
        "of OpenAI's dialect and those that extend it",
        arguments: [
            (#""quality": "high", "style": "vivid", "moderation": "low", "user": "u""#, nil),
            (#""sampler_name": "default", "scheduler": null, "generator_device": "cuda""#, nil),
            (#""sampler_name": "euler", "enable_teacache": false, "layers": null"#, nil),
            (#""kwargs": "{\"sampler_name\": \"Euler\"}""#, nil),
            (#""sampler_name": "LMS""#, "sampler_name"),
            (#""kwargs": "{\"sampler_name\": \"DPM++\"}""#, "sampler_name"),
            (#""kwargs": "{\"controlnet\": \"canny\"}""#, "controlnet"),
            (#""flow_shift": 3.0"#, nil), (#""frame_count": 9"#, "frame_count"),
            (#""background": "transparent""#, "background"),
            (#""enable_upscaling": true"#, "enable_upscaling"), (#""image": "x""#, "image"),
            (#""mask": "x""#, "mask"), (#""ref_images": ["x"]"#, "ref_images"),
            (#""svg": {"model": "m"}"#, "svg"), (#""sigmas": [0.5, 1]"#, "sigmas"),
            (#""input_fidelity": "high""#, "input_fidelity"),
        ] as [(String, String?)])
    func openAI(fields: String, name: String?) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/v1/images/generations", "{\"prompt\": \"p\", \(fields)}")
            #expect(answer.status == (name == nil ? .ok : .badRequest), "\(answer.text)")
            if let name { #expect(try answer.error()["param"] == name) }
        }
    }

    @Test("of Gradio: more inputs than the function has")
    func gradio() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/gradio_api/call/generate",
                #"{"data": ["p", "", 5, 32, 16, 2, 0, 1, "", "", "", 0, "more"]}"#)
            #expect(try answer.error()["param"] == "data")
        }
    }
}
