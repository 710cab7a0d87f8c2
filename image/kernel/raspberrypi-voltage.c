// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Low voltage of a Raspberry Pi, as the firmware tells it: Debian's kernel is built without its driver (SENSORS_RASPBERRYPI_HWMON).
 *
 * The kernel's firmware driver makes a device "raspberrypi-hwmon" on every board whose firmware knows the question; this module is
 * loaded by it and gives the attribute that the missing driver has: name "rpi_volt", in0_lcrit_alarm, 1 when the supply was below
 * 4.63 V since it was read last (the firmware keeps that, and forgets it when it was asked). Nothing is asked unless it is read.
 */
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/hwmon.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <soc/bcm2835/raspberrypi-firmware.h>

#define LOW_NOW		BIT(0)
#define LOW_SINCE_ASKED	BIT(16)
#define FORGET		0xffff	/* which of the bits 16 and up are cleared by asking */

static umode_t voltage_is_visible(const void *data, enum hwmon_sensor_types type, u32 attribute, int channel)
{
	return 0444;
}

static int voltage_read(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel, long *value)
{
	u32 bits = FORGET;
	int fault = rpi_firmware_property(dev_get_drvdata(dev), RPI_FIRMWARE_GET_THROTTLED, &bits, sizeof(bits));

	if (fault)
		return fault;
	*value = (bits & (LOW_NOW | LOW_SINCE_ASKED)) != 0;
	return 0;
}

static const struct hwmon_channel_info * const voltage_channels[] = {
	HWMON_CHANNEL_INFO(in, HWMON_I_LCRIT_ALARM),
	NULL
};

static const struct hwmon_ops voltage_ops = {
	.is_visible = voltage_is_visible,
	.read = voltage_read,
};

static const struct hwmon_chip_info voltage_chip = {
	.ops = &voltage_ops,
	.info = voltage_channels,
};

/* The parent is the firmware's device, whose driver made ours. */
static int voltage_probe(struct platform_device *device)
{
	struct rpi_firmware *firmware = dev_get_drvdata(device->dev.parent);

	return PTR_ERR_OR_ZERO(devm_hwmon_device_register_with_info(&device->dev, "rpi_volt", firmware, &voltage_chip, NULL));
}

static struct platform_driver voltage_driver = {
	.probe = voltage_probe,
	.driver = { .name = "raspberrypi-hwmon" },
};
module_platform_driver(voltage_driver);

MODULE_DESCRIPTION("Low voltage of a Raspberry Pi");
MODULE_LICENSE("GPL");
MODULE_ALIAS("platform:raspberrypi-hwmon");
